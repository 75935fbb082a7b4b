import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** What became of a program. */
export interface Outcome {
  /** Its exit code; null when it had to be killed. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a program in a process of its own, on the sources: only there can be seen whether a process ends by itself.
 *
 * @param program - TypeScript; imports `./src/index.js` and `./src/transport/udp.js`
 * @param limitMs - after which it is killed
 */
export async function runProgram(program: string, limitMs: number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'xorbit-'))
  const outfile = join(folder, 'program.cjs')
  try {
    await build({
      stdin: { contents: program, resolveDir: root, loader: 'ts' },
      bundle: true,
      format: 'cjs',
      platform: 'node',
      conditions: ['xorbit-source'],
      outfile,
      logLevel: 'silent',
    })
    return await run(outfile, limitMs)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(file: string, limitMs: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] })
    const output = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        output[stream] += text
      })
    }
    const killer = setTimeout(() => child.kill('SIGKILL'), limitMs)
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(killer)
      resolve({ code, ...output })
    })
  })
}
