import { describe, expect, it } from "vitest";
import type { ScanCounts } from "../../api/scans";
import {
  filtersIn,
  isFiltered,
  numFiltered,
  orderedBy,
  selectionOf,
  withFilters,
} from "./verdictFilters";

const filters = (search: string) => filtersIn(new URLSearchParams(search));

describe("filtersIn", () => {
  it("takes everything from the address", () => {
    expect(filters("show=rejected&reason=not_text&language=C%2B%2B&path=src&order=-size")).toEqual({
      show: "rejected",
      reason: "not_text",
      language: "C++",
      path: "src",
      order: "size",
      descending: true,
    });
  });

  it("passes over what it does not know", () => {
    expect(filters("show=some&order=colour&reason=mood")).toEqual(filters(""));
  });
});

describe("withFilters", () => {
  it("keeps the rest of the address, and leaves out what is not filtered", () => {
    const search = new URLSearchParams("project=p&show=accepted&path=a");
    const plain = withFilters(search, { ...filtersIn(search), show: "all", path: "" });
    expect(plain.toString()).toBe("project=p");
    const sorted = withFilters(plain, { ...filtersIn(plain), order: "loss", descending: true });
    expect(filtersIn(sorted)).toMatchObject({ order: "loss", descending: true });
  });
});

describe("numFiltered", () => {
  const counts = {
    num_files: 10,
    num_accepted_files: 7,
    reasons: [{ reason: "digits", num_files: 2 }],
  } as ScanCounts;
  it.each([
    ["", 10],
    ["show=accepted", 7],
    ["show=rejected", 3],
    ["reason=digits", 2],
    ["reason=loss", 0],
    ["path=a", null],
    ["show=accepted&language=C", null],
  ])("of %j is %j", (search, count) => expect(numFiltered(filters(search), counts)).toBe(count));
});

describe("selectionOf", () => {
  it("asks for rejected files when a reason is chosen", () => {
    expect(selectionOf(filters("reason=duplicate&show=accepted"))).toEqual({
      accepted: false,
      reason: ["duplicate"],
      order: "number",
      descending: false,
    });
  });

  it("asks for nothing in particular otherwise", () => {
    expect(selectionOf(filters("path=%20%20"))).toEqual({ order: "number", descending: false });
    expect(isFiltered(filters("path=%20%20"))).toBe(false);
  });
});

describe("orderedBy", () => {
  it("goes up, down, and back", () => {
    const up = orderedBy(filters(""), "size");
    const down = orderedBy(up, "size");
    expect([up.order, up.descending]).toEqual(["size", false]);
    expect([down.order, down.descending]).toEqual(["size", true]);
    expect(orderedBy(down, "size").order).toBe("number");
  });
});
