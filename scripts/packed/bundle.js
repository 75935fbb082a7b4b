// @ts-check
import { build } from 'esbuild'

/**
 * Bundles a program that uses the package for browsers, as a user would; warnings count as errors.
 *
 * @param {string} folder - where the package is installed
 * @param {string} contents
 * @returns {Promise<string>} a script
 */
export async function bundleForBrowser(folder, contents) {
  const { outputFiles, warnings } = await build({
    stdin: { contents, resolveDir: folder },
    bundle: true,
    minify: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    write: false,
    logLevel: 'silent',
  })
  if (warnings.length > 0) throw new Error(warnings.map(({ text }) => text).join('\n'))
  return outputFiles[0]?.text ?? ''
}
