/**
 * 32 bits of a text, the same in every process: FNV-1a, mixed once more, as its low bits alone would tell little of
 * short texts. Who knows it can choose texts of one hash: whoever uses it must bound what that costs.
 */
export function textHash(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) >>> 0
}
