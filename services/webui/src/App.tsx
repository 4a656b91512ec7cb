import { Route, Switch } from "wouter";
import { SignInPage } from "./pages/signIn/SignInPage";
import { SignedInApp } from "./SignedInApp";

export function App() {
  return (
    <Switch>
      <Route path="/sign-in" component={SignInPage} />
      <Route component={SignedInApp} />
    </Switch>
  );
}
