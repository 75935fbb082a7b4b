// @ts-check
// A plugin of typedoc: gives each document the name that its heading has, and the group of the folder that it lies in.
// Else the site would call it by its path, as in `docs/errors/ERR_TIMEOUT`. And it leads links to the README to its file:
// typedoc leads them to its folder, which is a list of files where no server stands between.
import { Converter, PageEvent } from 'typedoc'

/** The group of a document: the first of these that its path matches. */
const GROUPS = /** @type {const} */ ([
  [/^docs\/guides\//, 'Guides'],
  [/^docs\/errors\//, 'Errors'],
  [/^docs\/decisions\//, 'Decisions'],
  [/^docs\/benchmarks\//, 'Benchmarks'],
  [/^examples\//, 'Examples'],
  [/./, 'Documents'],
])

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (/** @type {unknown} */ _, document) => {
    const [, group] = GROUPS.find(([pattern]) => pattern.test(document.name)) ?? []
    if (group !== undefined) document.frontmatter.group = group
    const [first] = document.content
    const [whole, heading] = /^# (.+)\n+/.exec(first?.text ?? '') ?? []
    if (first === undefined || whole === undefined || heading === undefined) {
      throw new Error(`${document.name} does not begin with a heading`)
    }
    document.name = heading
  })
  app.renderer.on(PageEvent.END, (page) => {
    if (page.contents === undefined) return
    page.contents = page.contents.replace(/ href="((?:\.\.?\/)+)(?=["#])/g, ' href="$1index.html')
  })
}
