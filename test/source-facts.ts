import { posix } from 'node:path'
import ts from 'typescript'

/** One import, re-export or `import()` of a file. */
export interface Import {
  /** A path under src/ for our own files, else the specifier as it stands. */
  readonly target: string
  /** Whether nothing of it is left at run time. */
  readonly typeOnly: boolean
}

/** What the rules of the architecture ask about a source file. */
export interface Facts {
  readonly path: string
  readonly lines: number
  readonly imports: readonly Import[]
  /** Names that are no member's, property's or parameter's, and `Math.random`, `AbortSignal.timeout` and their like. */
  readonly names: ReadonlySet<string>
  /** The ways in which it makes or awaits promises. */
  readonly promises: readonly string[]
  readonly topLevelAwait: boolean
  readonly powers: boolean
  readonly onlyReExports: boolean
}

/** Reads a source file as text; nothing is resolved or compiled. */
export function readFacts(path: string, text: string): Facts {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const imports: Import[] = []
  const names = new Set<string>()
  const promises: string[] = []
  let topLevelAwait = false
  let powers = false

  const visit = (node: ts.Node, inFunction: boolean, parameters: readonly string[]): void => {
    const found = readImport(node, path)
    if (found !== undefined) imports.push(found)
    const name = readName(node)
    if (name !== undefined && !parameters.includes(name)) names.add(name)
    const promise = readPromise(node)
    if (promise !== undefined) promises.push(promise)
    if (!inFunction && isAwait(node)) topLevelAwait = true
    if (isInexactPower(node)) powers = true
    const isFunction = ts.isFunctionLike(node)
    const inner = isFunction ? [...parameters, ...node.parameters.flatMap((at) => namesBound(at.name))] : parameters
    ts.forEachChild(node, (child) => visit(child, inFunction || isFunction, inner))
  }
  visit(file, false, [])

  const onlyReExports = file.statements.every((at) => ts.isExportDeclaration(at) && at.moduleSpecifier !== undefined)
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  return { path, lines, imports, names, promises, topLevelAwait, powers, onlyReExports }
}

function readImport(node: ts.Node, path: string): Import | undefined {
  const resolve = (specifier: string) =>
    specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts') : specifier
  const importing = (at: ts.Node | undefined, typeOnly: boolean): Import | undefined =>
    at === undefined ? undefined : { target: ts.isStringLiteralLike(at) ? resolve(at.text) : at.getText(), typeOnly }

  // `import { type A }` still loads its module under verbatimModuleSyntax; only `import type` leaves nothing.
  if (ts.isImportDeclaration(node)) {
    return importing(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
  }
  if (ts.isExportDeclaration(node)) return importing(node.moduleSpecifier, node.isTypeOnly)
  if (ts.isImportTypeNode(node))
    return importing(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node, true)
  if (ts.isExternalModuleReference(node)) return importing(node.expression, false)
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return importing(node.arguments[0], false)
  }
  return undefined
}

/** The name that a node uses, as the facts spell it. One that the file declares itself counts too: it would only confuse. */
function readName(node: ts.Node): string | undefined {
  const [of, member] = readMember(node)
  if (of === 'Math' || of === 'AbortSignal') return `${of}.${member}`
  if (of === 'globalThis') return member
  if (!ts.isIdentifier(node)) return undefined

  const { parent } = node
  const isMemberName = ts.isPropertyAccessExpression(parent) && parent.name === node
  const isRightOfDot = ts.isQualifiedName(parent) && parent.right === node
  const isOuterName = ts.isBindingElement(parent) && parent.propertyName === node
  const declaresMember =
    (ts.isPropertyAssignment(parent) ||
      ts.isClassElement(parent) ||
      ts.isTypeElement(parent) ||
      ts.isEnumMember(parent)) &&
    parent.name === node
  if (isMemberName || isRightOfDot || isOuterName || declaresMember) return undefined
  if (readMember(parent)[0] === node.text && node.text !== 'AbortSignal') return undefined
  return node.text
}

function namesBound(at: ts.BindingName): string[] {
  if (ts.isIdentifier(at)) return [at.text]
  return at.elements.flatMap((element) => (ts.isBindingElement(element) ? namesBound(element.name) : []))
}

/** Object and member of `Math.random` or `Math['random']`, where the object is one of those that are told apart. */
function readMember(node: ts.Node): [object?: string, member?: string] {
  const isAccess = ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)
  if (!isAccess || !ts.isIdentifier(node.expression)) return []
  const object = node.expression.text
  if (!['Math', 'AbortSignal', 'globalThis'].includes(object)) return []
  if (ts.isPropertyAccessExpression(node)) return [object, node.name.text]
  return ts.isStringLiteralLike(node.argumentExpression) ? [object, node.argumentExpression.text] : []
}

function readPromise(node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return 'async'
  if (isAwait(node)) return 'await'
  if (ts.isIdentifier(node) && (node.text === 'Promise' || node.text === 'PromiseLike')) return node.text
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined
  const { text } = node.expression.name
  return ['then', 'catch', 'finally'].includes(text) ? `.${text}()` : undefined
}

function isAwait(node: ts.Node): boolean {
  return ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier !== undefined)
}

function isInexactPower(node: ts.Node): boolean {
  if (!ts.isBinaryExpression(node)) return false
  const { left, operatorToken, right } = node
  if (operatorToken.kind === ts.SyntaxKind.AsteriskAsteriskEqualsToken) return true
  const isLiteral = (at: ts.Node) => ts.isNumericLiteral(at) || ts.isBigIntLiteral(at)
  return operatorToken.kind === ts.SyntaxKind.AsteriskAsteriskToken && !(isLiteral(left) && isLiteral(right))
}
