import { Center, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Suspense } from "react";
import { Redirect, Route, Switch } from "wouter";
import { sessionQuery } from "./api/queries";
import { pages } from "./pages";
import { NotFoundPage } from "./pages/NotFoundPage";
import { ProblemAlert } from "./parts/ProblemAlert";
import { Shell } from "./shell/Shell";

const waiting = (
  <Center mih="60vh">
    <Loader aria-label="Loading" />
  </Center>
);

export function SignedInApp() {
  const session = useQuery(sessionQuery);
  if (session.data === null) {
    return <Redirect to="/sign-in" replace />;
  }
  if (session.data) {
    return (
      <Shell user={session.data.user}>
        <Suspense fallback={waiting}>
          <Switch>
            {pages.map((page) => (
              <Route key={page.path} path={page.path} component={page.component} />
            ))}
            <Route component={NotFoundPage} />
          </Switch>
        </Suspense>
      </Shell>
    );
  }
  if (session.isError) {
    return (
      <Center mih="60vh" p="md">
        <ProblemAlert
          title="The page cannot be shown yet"
          error={session.error}
          onRetry={() => void session.refetch()}
        />
      </Center>
    );
  }
  return waiting;
}
