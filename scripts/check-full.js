// @ts-check
// Fills a disk of 16 MiB: writes are refused with a code, reads go on, and with room again the store recovers by
// itself. `node scripts/check-full.js`, on Linux, where a user may mount a tmpfs in a namespace of its own. Needs a
// built dist/.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const folder = mkdtempSync(join(tmpdir(), 'xorbit-full-'))
const program = fileURLToPath(new URL('store/full.js', import.meta.url))
const entry = new URL('../dist/storage/level.js', import.meta.url).href
const script = 'mount -t tmpfs -o size=16m tmpfs "$1" && exec "$2" "$3" "$4" "$1"'
const args = ['-rm', 'sh', '-c', script, 'sh', folder, process.execPath, program, entry]
const { status, error } = spawnSync('unshare', args, { stdio: 'inherit', timeout: 120_000 })
if (error) console.log(`this machine has no unshare: ${error.message}`)
process.exitCode = status ?? 1
rmSync(folder, { recursive: true, force: true })
