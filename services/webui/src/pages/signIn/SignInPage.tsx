import { Card, Center, Loader, Stack, Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { useLayoutEffect } from "react";
import { Redirect } from "wouter";
import { Problem } from "../../api/problem";
import { useSignIn } from "../../api/queries";
import { Brand } from "../../parts/Brand";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { place } from "../../place";
import { HowToGetLink } from "./HowToGetLink";

/** The secret of a sign-in link; it must not stay in the browser's history. */
function takeLink(): string | null {
  const link = new URLSearchParams(window.location.hash.slice(1)).get("link");
  if (link) {
    window.history.replaceState(null, "", `${place}/sign-in`);
  }
  return link;
}

export function SignInPage() {
  useDocumentTitle("Sign in · Hearth");
  const { mutate, variables, error, isError, isPending, isSuccess } = useSignIn();

  useLayoutEffect(() => {
    const follow = () => {
      const link = takeLink();
      if (link) {
        mutate(link);
      }
    };
    follow();
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, [mutate]);

  if (isSuccess) {
    return <Redirect to="/" replace />;
  }
  const mayWorkAgain = variables && error instanceof Problem && error.isTemporary;
  return (
    <Center mih="100vh" p="md" component="main">
      <Card
        withBorder
        padding="xl"
        radius="lg"
        w={440}
        maw="100%"
        shadow="sm"
        bg="var(--hearth-surface)"
      >
        <Stack gap="lg">
          <Brand name="Hearth" />
          {isPending ? (
            <Center mih={140} role="status">
              <Stack align="center" gap="sm">
                <Loader aria-hidden />
                <Text>Signing in</Text>
              </Stack>
            </Center>
          ) : (
            <>
              <Title order={1} size="h3">
                Sign in
              </Title>
              {isError && (
                <ProblemAlert
                  title="This link did not sign you in"
                  error={error}
                  {...(mayWorkAgain && { onRetry: () => mutate(variables) })}
                />
              )}
              <HowToGetLink />
            </>
          )}
        </Stack>
      </Card>
    </Center>
  );
}
