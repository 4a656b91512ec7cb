import { expect, test } from "vitest";
import { pathBelow, place, placeOf } from "./place";

test("what the server wrote into the page stands before every path", () => {
  expect(placeOf("/hearth/")).toBe("/hearth");
  expect(placeOf("/tools/hearth/")).toBe("/tools/hearth");
  expect(placeOf("/")).toBe("");
  expect(placeOf("./")).toBe("");
  expect(place).toBe("");
});

test("an address bar that is not below it is brought there, once", () => {
  expect(pathBelow("/sources", "/hearth")).toBe("/hearth/sources");
  expect(pathBelow("/", "/hearth")).toBe("/hearth/");
  expect(pathBelow("/hearth/sources", "/hearth")).toBe("/hearth/sources");
  expect(pathBelow("/hearth", "/hearth")).toBe("/hearth");
  expect(pathBelow("/hearths", "/hearth")).toBe("/hearth/hearths");
  expect(pathBelow("/sources", "")).toBe("/sources");
});
