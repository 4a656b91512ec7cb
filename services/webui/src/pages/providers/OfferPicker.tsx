import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { IconPlugConnected, IconPlus, IconSearch } from "@tabler/icons-react";
import { type KeyboardEvent, useState } from "react";
import type { OfferedModel, useTestProvider } from "../../api/providers";
import { integer, plural } from "../../parts/format";
import { type ModelDraft, matchingOffers, nameFault } from "./modelDraft";
import classes from "./OfferPicker.module.css";
import { TestOutcome } from "./TestOutcome";

// Some providers have hundreds.
const MOST_SHOWN = 50;

interface OfferPickerProps {
  listing: ReturnType<typeof useTestProvider>;
  drafts: ModelDraft[];
  onList: () => void;
  onPick: (offer: OfferedModel) => void;
  onName: (name: string) => void;
}

/** Asks a provider which models it has; one that it does not tell of is typed. */
export function OfferPicker(props: OfferPickerProps) {
  const { listing, drafts } = props;
  const offers = listing.data?.models ?? [];
  return (
    <Stack gap="sm">
      <Group>
        <Button
          variant={offers.length > 0 || drafts.length > 0 ? "default" : "filled"}
          leftSection={<IconPlugConnected size={16} aria-hidden />}
          loading={listing.isPending}
          onClick={props.onList}
        >
          Test and list models
        </Button>
      </Group>
      <TestOutcome test={listing} />
      {offers.length > 0 && <Offers {...props} offers={offers} />}
      <TypedName drafts={drafts} onName={props.onName} />
    </Stack>
  );
}

function Offers({ offers, drafts, onPick }: OfferPickerProps & { offers: OfferedModel[] }) {
  const [typed, setTyped] = useState("");
  const found = matchingOffers(offers, typed);
  const shown = found.slice(0, MOST_SHOWN);
  const more = found.length - shown.length;
  return (
    <>
      <TextInput
        aria-label="Search its models"
        placeholder="Part of a name"
        leftSection={<IconSearch size={16} aria-hidden />}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={withoutSubmit}
      />
      {found.length === 0 ? (
        <Text size="sm" c="dimmed" role="status">
          It has no model whose name is like that.
        </Text>
      ) : (
        <ul className={classes.offers} aria-label="Its models">
          {shown.map((offer) => (
            <li key={offer.name}>
              <span className={classes.name}>
                {offer.name}
                {offer.context_tokens > 0 && (
                  <Text span size="sm" c="dimmed">
                    {" "}
                    context {integer(offer.context_tokens)}
                  </Text>
                )}
              </span>
              {drafts.some((draft) => draft.name === offer.name) ? (
                <Text size="sm" c="dimmed">
                  picked
                </Text>
              ) : (
                <Button
                  variant="default"
                  size="compact-sm"
                  aria-label={`Pick ${offer.name}`}
                  onClick={() => onPick(offer)}
                >
                  Pick
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      {more > 0 && (
        <Text size="sm" c="dimmed">
          And {plural(more, "more", "more")}: type a part of the name.
        </Text>
      )}
    </>
  );
}

function TypedName({ drafts, onName }: Pick<OfferPickerProps, "drafts" | "onName">) {
  const [typed, setTyped] = useState("");
  const fault = typed.trim() === "" ? "" : nameFault(typed, drafts);
  const canAdd = typed.trim() !== "" && !fault;
  function add() {
    if (canAdd) {
      onName(typed.trim());
      setTyped("");
    }
  }
  return (
    <Group gap="sm" align="flex-end">
      <TextInput
        label="A model by its name"
        description="For one that the list does not have."
        flex="1 1 220px"
        spellCheck={false}
        value={typed}
        error={fault}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (withoutSubmit(event)) {
            add();
          }
        }}
      />
      <Button
        variant="default"
        leftSection={<IconPlus size={16} aria-hidden />}
        disabled={!canAdd}
        onClick={add}
      >
        Add it
      </Button>
    </Group>
  );
}

/** Enter belongs to the field, not to the form around it. Whether it was Enter. */
function withoutSubmit(event: KeyboardEvent): boolean {
  const isEnter = event.key === "Enter";
  if (isEnter) {
    event.preventDefault();
  }
  return isEnter;
}
