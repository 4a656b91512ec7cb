import { expect, it } from "vitest";
import { remainingSeconds, UploadSpeed } from "./uploadSpeed";

it("is unknown until something has gone", () => {
  const speed = new UploadSpeed();
  expect(speed.bytesPerSecond).toBeNull();
  speed.mark(0, 1000);
  expect(speed.bytesPerSecond).toBeNull();
});

it("is that of the last seconds", () => {
  const speed = new UploadSpeed();
  for (let second = 0; second <= 20; second += 1) {
    // Fast at first, then 10 bytes a second.
    speed.mark(second < 10 ? 1000 * second : 9000 + 10 * (second - 9), 1000 * second);
  }
  expect(speed.bytesPerSecond).toBe(10);
});

it("falls to nothing when nothing goes", () => {
  const speed = new UploadSpeed();
  speed.mark(500, 0);
  speed.mark(500, 8000);
  expect(speed.bytesPerSecond).toBe(0);
  expect(remainingSeconds(500, 1000, speed.bytesPerSecond)).toBeNull();
});

it("tells how long the rest takes", () => expect(remainingSeconds(20, 100, 8)).toBe(10));
