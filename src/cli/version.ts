import { readFileSync } from 'node:fs'

/** What the build puts in: a runtime may not be allowed to read the package's own files. */
declare const XORBIT_VERSION: string | undefined

/** The package's version. */
export function version(): string {
  if (typeof XORBIT_VERSION === 'string') return XORBIT_VERSION
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return version
}
