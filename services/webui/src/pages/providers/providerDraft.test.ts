import { describe, expect, it } from "vitest";
import { Problem } from "../../api/problem";
import type { Provider, ProviderKind } from "../../api/providers";
import {
  changesOf,
  draftOf,
  faultsOf,
  faultsOfProblem,
  freeId,
  hostOf,
  newDraft,
  newProviderOf,
} from "./providerDraft";

const kind = { kind: "openai", base_url: "https://api.openai.com/v1" } as ProviderKind;
const draft = newDraft(kind, []);
const provider = {
  provider_id: "openai",
  kind: "openai",
  base_url: "https://api.openai.com/v1",
  has_key: true,
  masks_secrets: true,
  team_ids: ["red"],
} as Provider;

describe("a new provider", () => {
  it("is switched off, with what its kind says", () => {
    expect(newProviderOf({ ...draft, key: " sk-1 ", baseUrl: " https://x/v1/ " })).toMatchObject({
      provider_id: "openai",
      base_url: "https://x/v1",
      key: "sk-1",
      is_enabled: false,
      masks_secrets: true,
    });
  });

  it("has a name that is free", () => {
    expect(freeId("openai", [])).toBe("openai");
    expect(freeId("openai", ["openai", "openai-2"])).toBe("openai-3");
  });
});

describe("faultsOf", () => {
  it.each([
    [{}, []],
    [{ providerId: "Open AI" }, ["provider_id"]],
    [{ baseUrl: "" }, ["base_url"]],
    [{ baseUrl: "api.openai.com/v1" }, ["base_url"]],
    [{ baseUrl: "ftp://host" }, ["base_url"]],
    [{ key: "two words" }, ["key"]],
    [{ key: "schlüssel" }, ["key"]],
  ])("of %j is at %j", (changes, fields) => {
    expect(Object.keys(faultsOf({ ...draft, ...changes }, null))).toEqual(fields);
  });

  it("asks for the key again at another address", () => {
    const moved = { ...draftOf(provider), baseUrl: "https://elsewhere/v1" };
    expect(faultsOf(moved, provider)).toHaveProperty("key");
    expect(faultsOf({ ...moved, key: "sk-2" }, provider)).toEqual({});
    expect(faultsOf({ ...moved, key: "" }, provider)).toEqual({});
    expect(faultsOf({ ...moved, baseUrl: `${provider.base_url}/` }, provider)).toEqual({});
  });
});

describe("changesOf", () => {
  const same = draftOf(provider);
  it.each([
    [{}, {}],
    [{ key: "" }, { key: "" }],
    [{ key: " sk-2" }, { key: "sk-2" }],
    [
      { baseUrl: "https://x/v1/", key: "k" },
      { base_url: "https://x/v1", key: "k" },
    ],
    [{ masksSecrets: false }, { masks_secrets: false }],
    [{ teamIds: [] }, { team_ids: [] }],
  ])("of %j is %j", (changes, expected) => {
    expect(changesOf(provider, { ...same, ...changes })).toEqual(expected);
  });

  it("forgets no key where there is none", () => {
    const keyless = { ...provider, has_key: false };
    expect(changesOf(keyless, draftOf(keyless))).toEqual({});
  });
});

it("puts what the server says at its field", () => {
  const said = (param: string) => faultsOfProblem(new Problem("No.", 400, "", param));
  expect(said("base_url")).toEqual({ base_url: "No." });
  expect(said("models")).toEqual({});
  expect(faultsOfProblem(new Error("No."))).toEqual({});
  expect(faultsOfProblem(null)).toEqual({});
});

it("names the host that is sent to", () => {
  expect(hostOf("https://api.openai.com/v1")).toBe("api.openai.com");
  expect(hostOf("http://10.0.0.7:8000/v1")).toBe("10.0.0.7:8000");
});
