import { expect, it } from "vitest";
import type { Device } from "../api/queries";
import { byHost, deviceShares, freeBytes, holderWords } from "./deviceShares";

const assignment = (holder: string, device_bytes: number) => ({
  holder,
  device_bytes,
  assigned_at: 1,
});
const device = (
  kind: string,
  used_bytes: number,
  ...assignments: ReturnType<typeof assignment>[]
) => ({ kind, total_bytes: 24, used_bytes, assignments }) as Device;

it.each([
  ["replica/coder-0", "replica coder-0"],
  ["run/7f3a", "fine-tune 7f3a"],
  ["quarantine/replica/coder-0", "being cleared of replica/coder-0"],
  ["somebody", "somebody"],
])("calls %j %j", (holder, words) => expect(holderWords(holder)).toBe(words));

it("tells holders of a kind apart, and what nobody holds", () => {
  const held = device("cuda", 3, assignment("replica/a", 4), assignment("replica/b", 6));
  const shares = deviceShares(held);
  expect(shares.map((share) => share.bytes)).toEqual([4, 6]);
  expect(shares[0]?.colour).not.toBe(shares[1]?.colour);
  expect(freeBytes(held, shares)).toBe(14);
});

it("takes no bytes for the whole device", () => {
  const whole = device("cuda", 20, assignment("run/a", 0));
  expect(deviceShares(whole)).toMatchObject([{ words: "fine-tune a", bytes: 24 }]);
  expect(freeBytes(whole, deviceShares(whole))).toBe(0);
});

it("shows what others use of a GPU, but not of a host", () => {
  expect(deviceShares(device("cuda", 10, assignment("run/a", 4))).at(-1)).toMatchObject({
    words: "others",
    bytes: 6,
  });
  expect(deviceShares(device("cpu", 10, assignment("run/a", 4)))).toHaveLength(1);
});

it("puts devices under their hosts", () => {
  const on = (host_id: string) => ({ host_id }) as Device;
  const [a, b, c] = [on("b"), on("a"), on("b")] as const;
  expect(byHost([a, b, c])).toEqual([
    ["a", [b]],
    ["b", [a, c]],
  ]);
});
