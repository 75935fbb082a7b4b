import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { PluginBuild } from 'esbuild'
import { build } from 'esbuild'
import ts from 'typescript'

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** The package's entries as its sources have them, so that no test needs a built dist. */
const ENTRIES: Readonly<Record<string, string>> = {
  xorbit: 'src/index.ts',
  'xorbit/level': 'src/storage/level.ts',
  'xorbit/udp': 'src/transport/udp.ts',
  'xorbit/testing': 'src/testing/index.ts',
}

/** How long a program may run, in ms: only one that hangs takes as long. */
const PROGRAM_MS_MAX = 60_000

/** Bundles a program that imports the package by its name, with the sources in the package's place. */
export async function bundleProgram(contents: string, outfile: string): Promise<void> {
  await build({
    stdin: { contents, resolveDir: ROOT },
    bundle: true,
    format: 'esm',
    platform: 'node',
    // The package says that importing it alone does nothing, which would drop a program that is only imported.
    ignoreAnnotations: true,
    target: 'node20',
    conditions: ['xorbit-source'],
    alias: Object.fromEntries(Object.entries(ENTRIES).map(([name, path]) => [name, `${ROOT}${path}`])),
    // What is bundled of CommonJS asks for Node's own modules by require().
    banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)` },
    // It has a native part, which does not go into a bundle.
    plugins: [{ name: 'classic-level as it is', setup: keepOutside('classic-level') }],
    outfile,
    logLevel: 'silent',
  })
}

function keepOutside(name: string): (build: PluginBuild) => void {
  const path = pathToFileURL(createRequire(import.meta.url).resolve(name)).href
  return ({ onResolve }) => onResolve({ filter: new RegExp(`^${name}$`) }, () => ({ path, external: true }))
}

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a bundled program to its end.
 *
 * @param interrupt - sends one SIGINT when it has printed something, or that text
 */
export function runProgram(
  file: string,
  args: readonly string[] = [],
  interrupt: boolean | string = false,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PROGRAM_MS_MAX,
    })
    let stdout = ''
    let stderr = ''
    let isInterrupted = interrupt === false
    const awaited = typeof interrupt === 'string' ? interrupt : ''
    const onOutput = (): void => {
      if (isInterrupted || !`${stdout}\n${stderr}`.includes(awaited)) return
      child.kill('SIGINT')
      isInterrupted = true
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      onOutput()
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      onOutput()
    })
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, stdout, stderr }))
  })
}

/**
 * Type-checks programs, JavaScript ones too, as strictly as our own sources.
 *
 * @param files - text by path from the repository's root; they need not exist
 * @param changes - options that are less strict
 * @returns `path:line: message` for everything that is wrong
 */
export function typeErrors(files: Readonly<Record<string, string>>, changes: ts.CompilerOptions = {}): string[] {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile)
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const paths = Object.fromEntries(Object.entries(ENTRIES).map(([name, path]) => [name, [`${ROOT}${path}`]]))
  const all: ts.CompilerOptions = { ...options, allowJs: true, checkJs: true, paths, ...changes }
  const texts = new Map(Object.entries(files).map(([path, text]) => [`${ROOT}${path}`, text]))
  const host = ts.createCompilerHost(all)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => texts.has(path) || fileExists(path)
  host.readFile = (path) => texts.get(path) ?? readFile(path)
  host.getSourceFile = (path, version, ...rest) => {
    const text = texts.get(path)
    return text === undefined ? getSourceFile(path, version, ...rest) : ts.createSourceFile(path, text, version)
  }
  // Packages without types of their own are declared beside who uses them.
  const declarations = fileNames.filter((path) => path.endsWith('.d.ts'))
  const program = ts.createProgram([...texts.keys(), ...declarations], all, host)
  // Of the given files only: the packages that they import are not ours to judge.
  const given = [...texts.keys()].map((path) => program.getSourceFile(path))
  return given
    .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
    .map(describeDiagnostic)
}

function describeDiagnostic({ file, start, messageText }: ts.Diagnostic): string {
  const text = ts.flattenDiagnosticMessageText(messageText, '\n')
  if (file === undefined || start === undefined) return text
  return `${file.fileName.replace(ROOT, '')}:${file.getLineAndCharacterOfPosition(start).line + 1}: ${text}`
}
