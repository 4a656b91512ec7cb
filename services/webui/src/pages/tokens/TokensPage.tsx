import { Button, Skeleton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconKey, IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Token, tokensQuery } from "../../api/queries";
import { EmptyState } from "../../parts/EmptyState";
import { Page } from "../../parts/Page";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Section } from "../../parts/Section";
import { Surface } from "../../parts/Surface";
import { ConnectGuide } from "./ConnectGuide";
import { CreateToken } from "./CreateToken";
import { RevokeToken } from "./RevokeToken";
import { TokenLine } from "./TokenLine";

export default function TokensPage() {
  const tokens = useQuery(tokensQuery);
  const [creating, { open, close }] = useDisclosure(false);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const create = (
    <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={open}>
      Create token
    </Button>
  );
  return (
    <Page
      title="IDE tokens"
      about="A token lets an IDE or a script use this server in your name."
      action={create}
    >
      {tokens.isError ? (
        <ProblemAlert
          title="The tokens cannot be shown"
          error={tokens.error}
          onRetry={() => void tokens.refetch()}
        />
      ) : !tokens.data ? (
        <Skeleton height={140} radius="lg" />
      ) : (
        <Surface label="Tokens">
          {tokens.data.length === 0 && (
            <EmptyState icon={<IconKey />} title="There is no token yet">
              Create one for each IDE or machine. Then you can take one back without touching the
              others.
            </EmptyState>
          )}
          {tokens.data.map((token) => (
            <Row key={token.token_id}>
              <TokenLine token={token} onRevoke={() => setRevoking(token)} />
            </Row>
          ))}
        </Surface>
      )}
      <Section title="Connect an IDE">
        <ConnectGuide token="YOUR_TOKEN" />
      </Section>
      <CreateToken opened={creating} onClose={close} />
      <RevokeToken token={revoking} onClose={() => setRevoking(null)} />
    </Page>
  );
}
