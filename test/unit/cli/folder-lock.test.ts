import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FolderInUseError, lockFolder } from '../../../src/cli/folder-lock.js'
import { ROOT } from '../examples/programs.js'

const base = mkdtempSync(join(tmpdir(), 'xorbit-lock-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
let count = 0
const newFolder = () => mkdtempSync(join(base, `${++count}-`))

const program = join(base, 'locker.mjs')
beforeAll(() =>
  build({
    stdin: {
      contents: `import { lockFolder } from './src/cli/folder-lock.ts'
        lockFolder(process.argv[2]).then(() => console.log('locked'), (error) => console.log(error.code))
        setInterval(() => {}, 1_000)`,
      resolveDir: ROOT,
      loader: 'ts',
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile: program,
    logLevel: 'silent',
  }),
)

/** A process that tries to lock the folder, and stays. */
function starter(folder: string) {
  const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const said = once(createInterface({ input: child.stdout }), 'line').then(([line]) => String(line))
  const kill = async () => {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  return { pid: child.pid as number, said, kill }
}

describe('a folder that is locked', () => {
  test('is refused to another object of this process, and given to it afterwards', async () => {
    const folder = newFolder()
    const release = await lockFolder(folder)
    await expect(lockFolder(folder)).rejects.toThrow(/in use by this process already/)
    await release()
    expect(readdirSync(folder)).toEqual([])
    await (await lockFolder(folder))()
    await release()
  })

  test('is refused while another process lives, and free at once after kill -9', async () => {
    const folder = newFolder()
    const first = starter(folder)
    expect(await first.said).toBe('locked')
    const failure = await lockFolder(folder).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(FolderInUseError)
    expect(failure).toMatchObject({ pid: first.pid, message: expect.stringContaining(`process ${first.pid}`) })
    const second = starter(folder)
    expect(await second.said).toBe('FOLDER_IN_USE')
    await second.kill()
    await first.kill()
    const release = await lockFolder(folder)
    expect(readdirSync(folder)).toHaveLength(1)
    await release()
  })

  test('of several that start at once one gets it, also where an earlier process has left its file', async () => {
    for (let round = 0; round < 3; round++) {
      const folder = newFolder()
      const dead = starter(folder)
      expect(await dead.said).toBe('locked')
      await dead.kill()
      const starters = Array.from({ length: 4 }, () => starter(folder))
      const said = await Promise.all(starters.map((one) => one.said))
      await Promise.all(starters.map((one) => one.kill()))
      expect(said.sort()).toEqual(['FOLDER_IN_USE', 'FOLDER_IN_USE', 'FOLDER_IN_USE', 'locked'])
    }
  })

  test('two objects that start at once never both get it', async () => {
    for (let round = 0; round < 50; round++) {
      const folder = newFolder()
      const tries = await Promise.allSettled([lockFolder(folder), lockFolder(folder), lockFolder(folder)])
      expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    }
  })

  test('a folder that is not there or can not be written says so', async () => {
    await expect(lockFolder(join(base, 'nowhere'))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe.runIf(process.platform === 'linux')('what an earlier process left', () => {
  const boot = () => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  const startOf = (pid: number) =>
    readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')[19]

  test.each([
    ['the same process number, started at another time, as in a container', () => `lock.${process.pid}.1.${boot()}.ab`],
    ['a process that is no more', () => `lock.${2 ** 22 + 1}.1.${boot()}.ab`],
    ['one that could not tell when it started, and is no more', () => `lock.${2 ** 22 + 1}.0.0.ab`],
    [
      'a process number and time from before the machine started again',
      () => `lock.${process.pid}.${startOf(process.pid)}.00000000-0000-4000-8000-000000000000.ab`,
    ],
  ])('%s: is free', async (_, fileOf) => {
    const folder = newFolder()
    writeFileSync(join(folder, fileOf()), '')
    const release = await lockFolder(folder)
    expect(readdirSync(folder)).toHaveLength(1)
    await release()
  })

  test('of one that could not tell when it started, and lives, as in a Deno that may read nothing: is refused', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, `lock.${process.ppid}.0.0.ab`), '')
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'FOLDER_IN_USE' })
  })

  test('where another process has that number and started when it says: is refused', async () => {
    const folder = newFolder()
    const file = `lock.${process.ppid}.${startOf(process.ppid)}.${boot()}.ab`
    writeFileSync(join(folder, file), '')
    await expect(lockFolder(folder)).rejects.toThrow(join(folder, file))
    expect(readdirSync(folder)).toEqual([file])
  })

  test('the remains of a process that nobody has waited for are no process', async () => {
    const folder = newFolder()
    // A shell that is not a shell any more does not wait for its child.
    const script = 'sleep 30 & echo $!; exec sleep 31'
    const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const [line] = await once(createInterface({ input: parent.stdout }), 'line')
      const pid = Number(line)
      const file = `lock.${pid}.${startOf(pid)}.${boot()}.ab`
      writeFileSync(join(folder, file), '')
      await expect(lockFolder(folder)).rejects.toThrow(`process ${pid}`)
      process.kill(pid, 'SIGKILL')
      await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'latin1')).toMatch(/\) Z /)
      await (await lockFolder(folder))()
    } finally {
      parent.kill('SIGKILL')
    }
  })

  test('files of other names are left alone', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'lock.mine'), '')
    await (await lockFolder(folder))()
    expect(readdirSync(folder)).toEqual(['lock.mine'])
  })
})
