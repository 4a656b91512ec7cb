import { Route, Router, Switch } from "wouter";
import { SignInPage } from "./pages/signIn/SignInPage";
import { place } from "./place";
import { SignedInApp } from "./SignedInApp";

export function App() {
  return (
    <Router base={place}>
      <Switch>
        <Route path="/sign-in" component={SignInPage} />
        <Route component={SignedInApp} />
      </Switch>
    </Router>
  );
}
