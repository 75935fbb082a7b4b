import { distance } from '../index.js'

/** `880 B`, `127.2 KiB`, `1.0 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}

/** `0.42 ms`, `13.5 ms`, `506 ms`, `7.5 s`. */
export function formatMs(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`
  return `${ms.toFixed(ms < 1 ? 2 : ms < 100 ? 1 : 0)} ms`
}

/** A text of somebody else, for a terminal: what that would obey, or not show, is escaped. */
export function shown(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}

/** `1 record`, `2 records`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** How many bits two ids have in common before they differ: what a hop towards an id gains. */
export function sharedBits(a: Uint8Array, b: Uint8Array): number {
  const apart = distance(a, b)
  const at = apart.findIndex((byte) => byte !== 0)
  return at < 0 ? 8 * apart.length : 8 * at + Math.clz32(apart[at] as number) - 24
}

/** Rows below their heads. Columns whose head begins with `>` stand at the right. */
export function formatTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const titles = heads.map((head) => head.replace(/^>/, ''))
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  return [titles, ...rows]
    .map((row) => {
      const cells = row.map((cell, i) => {
        const width = widths[i] as number
        return heads[i]?.startsWith('>') ? cell.padStart(width) : cell.padEnd(width)
      })
      return cells.join('  ').trimEnd()
    })
    .join('\n')
}
