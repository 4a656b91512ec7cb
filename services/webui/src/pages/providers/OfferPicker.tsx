import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { IconCheck, IconPlugConnected, IconPlus, IconSearch } from "@tabler/icons-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
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
  onRemove: (name: string) => void;
}

/** Asks a provider which models it has; one that it does not tell of is typed. */
export function OfferPicker(props: OfferPickerProps) {
  const { listing, drafts } = props;
  const offers = listing.data?.models ?? [];
  const list = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    // The form of a new provider goes away, and the focus with it.
    if (document.activeElement === document.body) {
      list.current?.focus();
    }
  }, []);
  return (
    <Stack gap="sm">
      <Group>
        <Button
          ref={list}
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

function Offers({
  offers,
  drafts,
  onPick,
  onRemove,
}: OfferPickerProps & { offers: OfferedModel[] }) {
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
              <PickButton
                name={offer.name}
                isPicked={drafts.some((draft) => draft.name === offer.name)}
                onPick={() => onPick(offer)}
                onRemove={() => onRemove(offer.name)}
              />
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

interface PickButtonProps {
  name: string;
  isPicked: boolean;
  onPick: () => void;
  onRemove: () => void;
}

/** One button for both, so that the focus stays on it. */
function PickButton({ name, isPicked, onPick, onRemove }: PickButtonProps) {
  const word = isPicked ? "Remove" : "Pick";
  return (
    <Button
      variant={isPicked ? "light" : "default"}
      size="compact-sm"
      style={{ flex: "none" }}
      leftSection={isPicked && <IconCheck size={14} aria-hidden />}
      aria-label={`${word} ${name}`}
      onClick={isPicked ? onRemove : onPick}
    >
      {word}
    </Button>
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
