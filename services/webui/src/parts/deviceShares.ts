import type { Device } from "../api/queries";

/** A part of a device's memory. `colour` is of the theme. */
export interface DeviceShare {
  words: string;
  bytes: number;
  colour: string;
}

const KINDS = [
  {
    prefix: "replica/",
    words: (id: string) => `replica ${id}`,
    colours: ["ember.7", "teal.7", "pink.7", "lime.8"],
  },
  {
    prefix: "run/",
    words: (id: string) => `fine-tune ${id}`,
    colours: ["blue.6", "grape.6", "cyan.7"],
  },
  {
    prefix: "quarantine/",
    words: (id: string) => `being cleared of ${id}`,
    colours: ["yellow.6"],
  },
] as const;

/** Who holds a device, in the words of the page. */
export function holderWords(holder: string): string {
  const kind = KINDS.find(({ prefix }) => holder.startsWith(prefix));
  return kind ? kind.words(holder.slice(kind.prefix.length)) : holder;
}

/**
 * Who holds how much of a device, those of a kind in colours of their kind. The last is what others
 * than Hearth use at least: the driver tells only how much is used in all.
 */
export function deviceShares(device: Device): DeviceShare[] {
  const counts = new Map<string, number>();
  const shares: DeviceShare[] = device.assignments.map(({ holder, device_bytes }) => {
    const kind = KINDS.find(({ prefix }) => holder.startsWith(prefix));
    const count = counts.get(kind?.prefix ?? "") ?? 0;
    counts.set(kind?.prefix ?? "", count + 1);
    const colours = kind?.colours ?? ["indigo.6"];
    return {
      words: holderWords(holder),
      bytes: device_bytes || device.total_bytes,
      colour: colours[count % colours.length] ?? "gray.6",
    };
  });
  // Of processors it says what the whole host uses, of which only a share is Hearth's to give.
  const others = device.kind === "cuda" ? device.used_bytes - heldBytes(shares) : 0;
  return others > 0 ? [...shares, { words: "others", bytes: others, colour: "gray.5" }] : shares;
}

const heldBytes = (shares: readonly DeviceShare[]) =>
  shares.reduce((sum, share) => sum + share.bytes, 0);

export const freeBytes = (device: Device, shares: readonly DeviceShare[]): number =>
  Math.max(0, device.total_bytes - heldBytes(shares));

/** Enough of a device's UUID to tell it from others, such as "030d97d7". */
export const shortId = (deviceId: string): string =>
  /^GPU-([0-9a-f]{8})-/.exec(deviceId)?.[1] ?? deviceId;

/** Devices by host, hosts by name. */
export function byHost(devices: readonly Device[]): [string, Device[]][] {
  const hosts = [...new Set(devices.map((device) => device.host_id))].sort();
  return hosts.map((host) => [host, devices.filter((device) => device.host_id === host)]);
}
