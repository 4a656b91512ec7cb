import type { RunPlan } from "../../api/runs";
import type { MemoryPart } from "../../parts/MemoryBar";

/** What the memory of a device would be used for. */
export const memoryParts = (memory: RunPlan["memory"]): MemoryPart[] => [
  { word: "base", bytes: memory.weights_bytes, colour: "blue.6" },
  { word: "adapter", bytes: memory.trainable_bytes, colour: "ember.7" },
  { word: "activations", bytes: memory.activation_bytes, colour: "grape.6" },
  { word: "framework", bytes: memory.overhead_bytes, colour: "gray.5" },
];
