import { SyntaxKind as K, type Node, type SourceFile } from 'typescript/unstable/ast';
import * as is from 'typescript/unstable/ast/is';

/** One small change of a source file. */
export interface Mutant {
  /** What was changed, in the words of the literature: "boundary", "conditional", ... */
  readonly kind: string;
  /** In characters of the text. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

/** Operators and what they become (Offutt et al. 1996, "An experimental determination of sufficient mutant operators"). */
const BINARY: ReadonlyMap<K, readonly [kind: string, ...replacements: string[]]> = new Map([
  [K.LessThanToken, ['boundary', '<=', '>=']],
  [K.LessThanEqualsToken, ['boundary', '<', '>']],
  [K.GreaterThanToken, ['boundary', '>=', '<=']],
  [K.GreaterThanEqualsToken, ['boundary', '>', '<']],
  [K.EqualsEqualsToken, ['equality', '!=']],
  [K.ExclamationEqualsToken, ['equality', '==']],
  [K.EqualsEqualsEqualsToken, ['equality', '!==']],
  [K.ExclamationEqualsEqualsToken, ['equality', '===']],
  [K.PlusToken, ['arithmetic', '-']],
  [K.MinusToken, ['arithmetic', '+']],
  [K.AsteriskToken, ['arithmetic', '/']],
  [K.SlashToken, ['arithmetic', '*']],
  [K.PercentToken, ['arithmetic', '*']],
  [K.AsteriskAsteriskToken, ['arithmetic', '*']],
  [K.LessThanLessThanToken, ['bits', '>>']],
  [K.GreaterThanGreaterThanToken, ['bits', '<<']],
  [K.GreaterThanGreaterThanGreaterThanToken, ['bits', '<<']],
  [K.AmpersandToken, ['bits', '|']],
  [K.BarToken, ['bits', '&']],
  [K.CaretToken, ['bits', '&']],
  [K.AmpersandAmpersandToken, ['logical', '||']],
  [K.BarBarToken, ['logical', '&&']],
  [K.QuestionQuestionToken, ['logical', '&&']],
  [K.PlusEqualsToken, ['assignment', '-=', '=']],
  [K.MinusEqualsToken, ['assignment', '+=', '=']],
  [K.AsteriskEqualsToken, ['assignment', '/=', '=']],
  [K.SlashEqualsToken, ['assignment', '*=', '=']],
  [K.QuestionQuestionEqualsToken, ['assignment', '&&=', '=']],
]);

/** Methods and what they are easily taken for. */
const METHODS: ReadonlyMap<string, string> = new Map(
  [
    ['min', 'max'],
    ['floor', 'ceil'],
    ['some', 'every'],
    ['startsWith', 'endsWith'],
    ['padStart', 'padEnd'],
    ['trunc', 'round'],
    ['find', 'findLast'],
    ['indexOf', 'lastIndexOf'],
  ].flatMap(([a, b]) => [[a, b] as [string, string], [b, a] as [string, string]]),
);

/** What is returned instead, by the type of what is. */
const RETURNS: ReadonlyMap<string, readonly string[]> = new Map([
  ['number', ['0']],
  ['string', ["''"]],
  ['boolean', ['true', 'false']],
]);

/**
 * All mutants of a file, in the order of the text. Some will not pass the checks of types.
 * @param typeOf a type in words
 */
export function mutantsOf(file: SourceFile, typeOf: (node: Node) => string): Mutant[] {
  const mutants = new Map<string, Mutant>();
  const replace = (kind: string, node: Node, ...replacements: readonly string[]): void => {
    const [start, end] = [node.getStart(file), node.end];
    for (const replacement of replacements) {
      const key = `${start} ${end} ${replacement}`;
      if (file.text.slice(start, end) !== replacement && !mutants.has(key)) mutants.set(key, { kind, start, end, replacement });
    }
  };
  const text = (node: Node): string => node.getText(file);

  const visit = (node: Node): void => {
    if (isWithoutEffect(node)) return;
    if (is.isBinaryExpression(node)) {
      const change = BINARY.get(node.operatorToken.kind);
      if (change) replace(change[0], node.operatorToken, ...change.slice(1));
      if (change?.[0] === 'logical') replace('operand', node, text(node.left), text(node.right));
    }
    if (is.isPrefixUnaryExpression(node)) {
      if (node.operator === K.PlusPlusToken) replace('update', node, `--${text(node.operand)}`);
      else if (node.operator === K.MinusMinusToken) replace('update', node, `++${text(node.operand)}`);
      else replace('unary', node, text(node.operand));
    }
    if (is.isPostfixUnaryExpression(node)) replace('update', node, text(node.operand) + (node.operator === K.PlusPlusToken ? '--' : '++'));
    if (is.isIfStatement(node)) replace('conditional', node.expression, 'true', 'false');
    if (is.isConditionalExpression(node)) replace('conditional', node.condition, 'true', 'false');
    if (is.isWhileStatement(node) || is.isDoStatement(node)) replace('conditional', node.expression, 'false');
    if (is.isForStatement(node) && node.condition) replace('conditional', node.condition, 'false');
    if (node.kind === K.TrueKeyword) replace('boolean', node, 'false');
    if (node.kind === K.FalseKeyword) replace('boolean', node, 'true');
    if (is.isNumericLiteral(node)) replace('number', node, `(${text(node)} + 1)`);
    if (is.isBigIntLiteral(node)) replace('number', node, `(${text(node)} + 1n)`);
    if (is.isStringLiteral(node)) replace('string', node, node.text === '' ? "'mutated'" : "''");
    if (is.isTemplateExpression(node) || is.isNoSubstitutionTemplateLiteral(node)) replace('string', node, "''");
    if (is.isRegularExpressionLiteral(node))
      replace('regex', node, text(node).replace(/^\/\^/, '/'), text(node).replace(/\$(\/[a-z]*)$/, '$1'));
    if (is.isArrayLiteralExpression(node) && node.elements.length > 0) replace('array', node, '[]');
    if (is.isPropertyAccessExpression(node)) {
      if (node.questionDotToken) replace('optional', node, `${text(node.expression)}.${text(node.name)}`);
      const other = METHODS.get(text(node.name));
      if (other) replace('method', node.name, other);
    }
    if (isRemovable(node)) replace('statement', node, ';');
    const returned = returnedBy(node);
    if (returned) {
      const type = typeOf(returned);
      replace('return', returned, ...(RETURNS.get(type) ?? []), ...(type.endsWith(' | undefined') ? ['undefined'] : []));
      if (type.endsWith('[]')) replace('return', returned, '[]');
    }
    node.forEachChild(visit);
  };
  visit(file);
  return [...mutants.values()].sort((a, b) => a.start - b.start || a.end - b.end);
}

/** Types, imports, and the names of properties. */
function isWithoutEffect(node: Node): boolean {
  return (
    is.isTypeNode(node) ||
    is.isImportDeclaration(node) ||
    is.isExportDeclaration(node) ||
    is.isInterfaceDeclaration(node) ||
    is.isTypeAliasDeclaration(node) ||
    ((is.isStringLiteral(node) || is.isNumericLiteral(node)) && is.isPropertyAssignment(node.parent) && node.parent.name === node)
  );
}

/** Statements without which the rest may still compile, unless the condition over them is taken for false anyway. */
function isRemovable(node: Node): boolean {
  const { parent } = node;
  if (is.isThrowStatement(node) || is.isContinueStatement(node) || is.isBreakStatement(node)) {
    return !(is.isIfStatement(parent) && !parent.elseStatement) && !isOnlyOneOfIf(parent);
  }
  if (!is.isExpressionStatement(node)) return false;
  const isSuper = is.isCallExpression(node.expression) && node.expression.expression.kind === K.SuperKeyword;
  return !isSuper && !(is.isIfStatement(parent) && !parent.elseStatement) && !isOnlyOneOfIf(parent);
}

function isOnlyOneOfIf(block: Node): boolean {
  return is.isBlock(block) && block.statements.length === 1 && is.isIfStatement(block.parent) && !block.parent.elseStatement;
}

function returnedBy(node: Node): Node | undefined {
  if (is.isReturnStatement(node)) return node.expression;
  return is.isArrowFunction(node) && !is.isBlock(node.body) ? node.body : undefined;
}

/** A stretch of text that is run as a whole, and whose beginning can tell that it was. */
export interface Point {
  readonly start: number;
  readonly end: number;
}

/** Statements and the bodies of arrow functions, with calls of `globalThis.__hit?.(number)` written into the text. */
export function withHits(file: SourceFile, firstNumber: number): { text: string; points: Point[] } {
  const points: Point[] = [];
  const insertions: { at: number; rank: number; text: string }[] = [];
  const around = (node: Node, before: string, after = ''): void => {
    const [start, end, rank] = [node.getStart(file), node.end, points.length + 1];
    insertions.push({ at: start, rank, text: before.replace('#', String(firstNumber + points.length)) });
    if (after) insertions.push({ at: end, rank: -rank, text: after }); // what is inside ends first
    points.push({ start, end });
  };
  const visit = (node: Node): void => {
    if (is.isTypeNode(node) || is.isInterfaceDeclaration(node) || is.isTypeAliasDeclaration(node)) return;
    const { parent } = node;
    if (parent && is.isArrowFunction(parent) && parent.body === node && !is.isBlock(node)) {
      around(node, '(globalThis.__hit?.(#), ', ')');
    } else if (is.isStatement(node) && !is.isBlock(node) && !is.isImportDeclaration(node) && !is.isExportDeclaration(node)) {
      const isListed = is.isSourceFile(parent) || is.isBlock(parent) || is.isCaseClause(parent) || is.isDefaultClause(parent);
      if (isListed) around(node, 'globalThis.__hit?.(#); ');
      else around(node, '{ globalThis.__hit?.(#); ', ' }');
    }
    node.forEachChild(visit);
  };
  visit(file);
  insertions.sort((a, b) => a.at - b.at || a.rank - b.rank);
  let text = '';
  let done = 0;
  for (const { at, text: inserted } of insertions) {
    text += file.text.slice(done, at) + inserted;
    done = at;
  }
  return { text: text + file.text.slice(done), points };
}
