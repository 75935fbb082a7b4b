import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'

// One process at a time has a folder. Node has no lock of the system, so each process that wants the folder puts an
// empty file there whose name says who it is:
//
//   lock.<process id>.<when the process started>.<which start of the machine>.<random number>
//
// The name is there with the file, so nobody ever sees half of it. Who has put it then looks for others: of two
// processes, the one that looks last sees the other. A file whose process is gone counts for nothing, and is removed.
//
// On Linux that is known for certain at once, also where a new process has the number of the one before, as in a
// container, where it is always 1: when a process started and which start of the machine that was are compared too.
//
// What can't be told:
// - Elsewhere than on Linux, or in a Deno that may not read /proc, whether a process that lives is the one that put the file, or a later one of its number.
//   Then the folder is refused; the error names the file, which may be removed.
// - Whether a process lives that can't be seen from here: on another machine that has the folder over a network, in a
//   container with process numbers of its own, or of another user where /proc hides those. It is taken for gone, or
//   else no container could be replaced after a crash. So share no folder that way.

const PREFIX = 'lock.'
/** In the place of what this system does not tell. */
const UNKNOWN = '0'

/** Where two processes come at once, the one that has the right of way looks so often until the other has left. */
const LOOKS_MAX = 100

/** Tells objects in this process apart from an earlier process of its number, where the system does not tell. */
const OWN_FILES = new Set<string>()

interface Owner {
  readonly pid: number
  readonly startedAt: string
  readonly boot: string
}

/** Another process, or another object in this one, has the folder. */
export class FolderInUseError extends Error {
  /** The stable code that programs switch on. */
  readonly code = 'FOLDER_IN_USE'
  /** The process that has it. */
  readonly pid: number

  constructor(folder: string, file: string, pid: number) {
    const isOwn = pid === process.pid
    const advice = `. If that is no node of xorbit, remove ${join(folder, file)}`
    super(`${folder} is in use by ${isOwn ? 'this process already' : `process ${pid}${advice}`}`)
    this.name = 'FolderInUseError'
    this.pid = pid
  }
}

/**
 * Takes a folder for this process. A process that ended, however it did, does not have it any more.
 *
 * @returns gives it back
 * @throws FolderInUseError while another process has it, or another object in this one
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const boot = await readOr('/proc/sys/kernel/random/boot_id', UNKNOWN)
  const startedAt = (await startOf(process.pid)) || UNKNOWN
  const own = `${PREFIX}${process.pid}.${startedAt}.${boot}.${randomBytes(8).toString('hex')}`
  const path = join(folder, own)
  await (await open(path, 'wx', 0o600)).close()
  OWN_FILES.add(own)
  const release = async () => {
    OWN_FILES.delete(own)
    await unlink(path).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
  }
  try {
    for (let looks = 1; ; looks++) {
      const other = await otherIn(folder, own, boot)
      if (!other) return release
      // Who came second leaves, and so does who comes at the same time and is behind by its name.
      if (other < own || looks === LOOKS_MAX) throw new FolderInUseError(folder, other, ownerOf(other)?.pid as number)
    }
  } catch (error) {
    await release().catch(() => {})
    throw error
  }
}

/** The first of the others that live; files of those that are gone are removed. */
async function otherIn(folder: string, own: string, boot: string): Promise<string | undefined> {
  const files = (await readdir(folder)).filter((file) => file.startsWith(PREFIX) && file !== own).sort()
  for (const file of files) {
    const owner = ownerOf(file)
    if (!owner) continue
    if (await lives(file, owner, boot)) return file
    await unlink(join(folder, file)).catch(() => {})
  }
  return undefined
}

function ownerOf(file: string): Owner | undefined {
  const found = /^lock\.([1-9]\d*)\.(\d+)\.([\da-f-]+)\.[\da-f]+$/.exec(file)
  return found ? { pid: Number(found[1]), startedAt: found[2] as string, boot: found[3] as string } : undefined
}

async function lives(file: string, { pid, startedAt, boot }: Owner, ownBoot: string): Promise<boolean> {
  const areKnown = boot !== UNKNOWN && ownBoot !== UNKNOWN
  if (areKnown && boot !== ownBoot) return false
  // Deno may be allowed to have the folder, and not to read /proc: then its name tells no more than its number.
  if (areKnown && startedAt !== UNKNOWN) return (await startOf(pid)) === startedAt
  if (pid === process.pid) return OWN_FILES.has(file)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Any other error tells that there is one.
    return codeOf(error) !== 'ESRCH'
  }
}

/** On Linux, when the process started, in ticks since the machine did; empty where there is none, or only its remains. */
async function startOf(pid: number): Promise<string> {
  const stat = await readOr(`/proc/${pid}/stat`, '')
  // The second field is the program's name, which may have blanks and brackets in it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, startedAt = ''] = [fields[0], fields[19]]
  return state === 'Z' || state === 'X' ? '' : startedAt
}

async function readOr(path: string, otherwise: string): Promise<string> {
  try {
    return (await readFile(path, 'latin1')).trim()
  } catch {
    return otherwise
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code
}
