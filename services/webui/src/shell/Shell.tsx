import { AppShell, Burger, Group, NavLink, Stack, Text } from "@mantine/core";
import { useDisclosure, useReducedMotion } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { Link, useLocation } from "wouter";
import type { Session } from "../api/client";
import { LiveContext, useLiveCluster } from "../api/live";
import { clusterQuery } from "../api/queries";
import { fetchAllPages, pages } from "../pages";
import { Brand } from "../parts/Brand";
import { LiveBadge } from "./LiveBadge";
import { SchemeSwitch } from "./SchemeSwitch";
import classes from "./Shell.module.css";
import { UserMenu } from "./UserMenu";

interface ShellProps {
  user: Session["user"];
  children: ReactNode;
}

/** What surrounds every page: header, navigation, and the one live subscription. */
export function Shell({ user, children }: ShellProps) {
  const [opened, { toggle, close }] = useDisclosure(false);
  const live = useLiveCluster();
  const isStill = useReducedMotion();
  const cluster = useQuery(clusterQuery).data;
  const [location] = useLocation();
  useEffect(() => void fetchAllPages(), []);
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 216, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding={{ base: "md", sm: "xl" }}
      transitionDuration={isStill ? 0 : 200}
    >
      <a href="#main" className={classes.skip}>
        Skip to the page
      </a>
      <AppShell.Header className={classes.header}>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap" gap="sm">
          <Group gap="sm" wrap="nowrap" miw={0}>
            <Burger
              opened={opened}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label={opened ? "Close the navigation" : "Open the navigation"}
            />
            <Brand
              name={cluster?.name ?? "Hearth"}
              {...(live === "reconnecting" && { nameFrom: "xs" })}
            />
            <LiveBadge status={live} />
          </Group>
          <Group gap={4} wrap="nowrap">
            <SchemeSwitch />
            <UserMenu user={user} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" className={classes.nav} aria-label="Pages">
        <Stack gap={4} flex={1}>
          {pages.map((page) => (
            <NavLink
              key={page.path}
              component={Link}
              href={page.path}
              className={classes.link}
              label={page.label}
              leftSection={<page.icon size={18} aria-hidden />}
              active={location === page.path}
              aria-current={location === page.path ? "page" : undefined}
              onClick={close}
            />
          ))}
        </Stack>
        {cluster && (
          <Text size="xs" c="dimmed" px="sm">
            Version {cluster.version}
          </Text>
        )}
      </AppShell.Navbar>
      <AppShell.Main id="main" className={classes.main}>
        <LiveContext value={live}>{children}</LiveContext>
      </AppShell.Main>
    </AppShell>
  );
}
