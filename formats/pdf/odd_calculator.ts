/**
 * PostScript calculator functions (ISO 32000-2 §7.10.5). Readers differ in what happens at errors: a type that an operator
 * does not take, a root of a negative number, a division by zero, too few operands. So what is on the stack is followed,
 * as kinds of values and as far as they are constants, and an operator is allowed only where it cannot fail.
 */
import { odd } from "./content.ts";
import { fromLatin1 } from "./value.ts";

/** A number, which may be known, or a truth value. */
type Operand = { constant?: number; isWhole?: boolean } | "truth";

const MAX_LENGTH = 1 << 16, MAX_STACK = 64, MAX_DEPTH = 16, MAX_NUMBER = 1 << 30;
const TOKEN = /^(?:[{}]|[-+]?(?:\d+\.?\d*|\.\d+)|[a-z]+)$/;
const NUMBER: Operand = {};
/** Of one number, a number. */
const OF_ONE = new Set(
  ["abs", "ceiling", "cos", "cvi", "cvr", "floor", "neg", "sin", "truncate", "round"],
);
const OF_TWO = new Set(["add", "mul", "sub"]);
const COMPARISONS = new Set(["eq", "ge", "gt", "le", "lt", "ne"]);
const BY_CONSTANT = new Set(["div", "idiv", "mod", "exp"]);

/**
 * @param inputs how many numbers it takes
 * @param outputs how many it must leave
 */
export function checkCalculator(data: Uint8Array, inputs: number, outputs: number): void {
  if (data.length > MAX_LENGTH) odd();
  const text = fromLatin1(data).replace(/%[^\r\n]*/g, " ").replace(/[{}]/g, " $& ");
  const tokens = text.split(/[\0\t\n\f\r ]+/).filter(Boolean);
  if (tokens[0] !== "{" || !tokens.every((token) => TOKEN.test(token))) odd();
  const calculator = new Calculator(tokens);
  const stack = calculator.run(Array(inputs).fill(NUMBER), 1, 0);
  if (calculator.end !== tokens.length || stack.length !== outputs || stack.includes("truth")) {
    odd();
  }
}

function constant(token: string): Operand {
  const value = Number(token);
  return Math.abs(value) <= MAX_NUMBER ? { constant: value, isWhole: !token.includes(".") } : odd();
}

class Calculator {
  /** Behind the brace that closes what was run last. */
  end = 0;

  constructor(readonly tokens: readonly string[]) {}

  /** Runs a procedure from behind its brace on. */
  run(given: readonly Operand[], start: number, depth: number): Operand[] {
    if (depth > MAX_DEPTH) odd();
    const { tokens } = this;
    let stack = [...given];
    for (let at = start; at < tokens.length; at++) {
      const token = tokens[at];
      if (token === "}") {
        this.end = at + 1;
        return stack;
      }
      if (token === "{") {
        stack = this.#branch(stack, at, depth);
        at = this.end - 1;
      } else if (/[a-z]/.test(token)) apply(token, stack);
      else stack.push(constant(token));
      if (stack.length > MAX_STACK) odd();
    }
    return odd();
  }

  /** Both ways must leave the same kinds. */
  #branch(stack: Operand[], at: number, depth: number): Operand[] {
    if (stack.pop() !== "truth") odd();
    const first = this.run(stack, at + 1, depth + 1);
    let other = stack;
    if (this.tokens[this.end] === "{") {
      other = this.run(stack, this.end + 1, depth + 1);
      if (this.tokens[this.end++] !== "ifelse") odd();
    } else if (this.tokens[this.end++] !== "if") odd();
    if (first.length !== other.length) odd();
    return first.map((operand, i) => {
      if ((operand === "truth") !== (other[i] === "truth")) odd();
      return operand === "truth" ? operand : NUMBER;
    });
  }
}

function apply(word: string, stack: Operand[]): void {
  const pop = () => stack.pop() ?? odd();
  const number = () => {
    const operand = pop();
    return operand === "truth" ? odd() : operand;
  };
  /** A whole number that is known, from zero on. */
  const count = () => {
    const { constant, isWhole } = number();
    return constant !== undefined && isWhole && constant >= 0 && constant <= MAX_STACK
      ? constant
      : odd();
  };
  if (OF_ONE.has(word)) {
    const { constant, isWhole } = number();
    // Of a half that is negative, some go up and others down.
    if (word === "round") odd();
    stack.push(
      word === "neg" && constant !== undefined ? { constant: -constant, isWhole } : NUMBER,
    );
  } else if (OF_TWO.has(word)) {
    number(), number();
    stack.push(NUMBER);
  } else if (COMPARISONS.has(word)) {
    number(), number();
    stack.push("truth");
  } else if (BY_CONSTANT.has(word)) {
    const { constant } = number();
    const base = number();
    // A power of what may be negative.
    if (!constant || (word === "exp" && !(constant >= 1 && Number.isInteger(constant)))) odd();
    if ((word === "idiv" || word === "mod") && !base.isWhole) odd();
    stack.push(NUMBER);
  } else {
    switch (word) {
      case "pop":
        pop();
        break;
      case "dup": {
        const top = pop();
        stack.push(top, top);
        break;
      }
      case "exch": {
        const b = pop(), a = pop();
        stack.push(b, a);
        break;
      }
      case "copy": {
        const n = count();
        if (n > stack.length) odd();
        stack.push(...stack.slice(stack.length - n));
        break;
      }
      case "index": {
        const n = count();
        stack.push(stack.at(-1 - n) ?? odd());
        break;
      }
      case "roll":
        roll(number().constant ?? odd(), count(), stack);
        break;
      case "and":
      case "or":
        if (pop() !== "truth" || pop() !== "truth") odd();
        stack.push("truth");
        break;
      default:
        odd();
    }
  }
}

function roll(by: number, n: number, stack: Operand[]): void {
  if (!Number.isInteger(by) || n > stack.length) odd();
  if (n === 0) return;
  const top = stack.splice(stack.length - n);
  const shift = ((by % n) + n) % n;
  stack.push(...top.slice(n - shift), ...top.slice(0, n - shift));
}
