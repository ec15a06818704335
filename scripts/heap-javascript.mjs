/**
 * Compiles the allocator of a `Heap` (src/memory/heap/core/) to one JavaScript class, in TypeScript. The sources count in
 * words of 32 bits without a sign; here every number is the same word with a sign, which engines keep in a register of
 * 32 bits: sums are cut to 32 bits, comparisons look at both sides without the sign, constants are literals, and accesses are those
 * of an Int32Array in place. What the sources don't use is refused, not guessed.
 */
import ts from "typescript";

const { SyntaxKind } = ts;

/** @param sources names and texts: layout first, then each class behind the one that it extends */
export function heapToJavaScript(sources) {
  const program = new Program();
  const files = sources.map(([name, text]) =>
    ts.createSourceFile(`${name}.ts`, text, ts.ScriptTarget.ES2022, true),
  );
  for (const { statements } of files) for (const statement of statements) program.declare(statement);
  const methods = program.methods.map((method) => program.method(method));
  const functions = [];
  // those of them that call others say so while they are compiled
  for (const each of program.called) functions.push(program.function(each));
  return [...functions, `export class HeapCore extends Words {\n${methods.join("\n\n")}\n}\n`].join("\n\n");
}

class Program {
  /** Values of constants, and of the members of tables. */
  constants = new Map();
  functions = new Map();
  /** Those that are not written in place. */
  called = new Set();
  methods = [];
  /** Methods that others call, and get and return words without a sign. */
  open = new Set();
  /** Names that stand for something else while a function's body is written in place. */
  #bound = new Map();

  declare(node) {
    if (ts.isImportDeclaration(node)) return;
    if (ts.isVariableStatement(node)) {
      for (const { name, initializer } of node.declarationList.declarations) {
        const value = ts.isAsExpression(initializer) ? initializer.expression : initializer;
        if (!ts.isObjectLiteralExpression(value)) this.constants.set(name.text, this.#evaluate(value));
        else
          for (const member of value.properties)
            this.constants.set(`${name.text}.${member.name.text}`, this.#evaluate(member.initializer));
      }
    } else if (ts.isFunctionDeclaration(node)) {
      this.functions.set(node.name.text, node);
    } else if (ts.isClassDeclaration(node)) {
      for (const member of node.members) {
        this.methods.push(member);
        if (!member.modifiers?.length) this.open.add(member.name.text);
      }
    } else throw unknown(node);
  }

  method(node) {
    const open = this.open.has(node.name.text);
    const { parameters, type, body } = node;
    const numbers = open ? parameters.map(({ name }) => `    ${name.text} |= 0;\n`).join("") : "";
    const returned = open && isNumber(type) ? (value) => `${value} >>> 0` : (value) => value;
    const access = open ? "" : "private ";
    return `  ${access}${node.name.text}(${list(parameters)}): ${type.getText()} {\n${numbers}${this.#block(body, returned)}  }`;
  }

  function(node) {
    return `function ${node.name.text}(${list(node.parameters)}): ${node.type.getText()} {\n${this.#block(node.body, (value) => value)}}`;
  }

  #block(node, returned) {
    return node.statements.map((statement) => this.#statement(statement, returned)).join("");
  }

  #statement(node, returned) {
    const inner = (child) =>
      child === undefined
        ? ""
        : ts.isBlock(child)
          ? this.#block(child, returned)
          : this.#statement(child, returned);
    if (ts.isBlock(node)) return `{\n${this.#block(node, returned)}}\n`;
    if (ts.isVariableStatement(node)) return `${this.#variables(node.declarationList)};\n`;
    if (ts.isExpressionStatement(node)) return `${this.#effect(node.expression)};\n`;
    if (ts.isReturnStatement(node))
      return node.expression ? `return ${returned(this.#value(node.expression))};\n` : "return;\n";
    if (node.kind === SyntaxKind.BreakStatement) return "break;\n";
    if (node.kind === SyntaxKind.ContinueStatement) return "continue;\n";
    if (ts.isIfStatement(node)) {
      const other = node.elseStatement ? ` else {\n${inner(node.elseStatement)}}` : "";
      return `if (${this.#value(node.expression)}) {\n${inner(node.thenStatement)}}${other}\n`;
    }
    if (ts.isWhileStatement(node))
      return `while (${this.#value(node.expression)}) {\n${inner(node.statement)}}\n`;
    if (ts.isForStatement(node)) {
      const first = node.initializer ? this.#variables(node.initializer) : "";
      const then = node.incrementor ? this.#effect(node.incrementor) : "";
      return `for (${first}; ${this.#value(node.condition)}; ${then}) {\n${inner(node.statement)}}\n`;
    }
    throw unknown(node);
  }

  #variables(node) {
    const kind = node.flags & ts.NodeFlags.Const ? "const" : "let";
    const each = node.declarations.map(
      ({ name, type, initializer }) =>
        `${name.text}${type ? `: ${type.getText()}` : ""} = ${this.#value(initializer)}`,
    );
    return `${kind} ${each.join(", ")}`;
  }

  /** An expression whose value nobody looks at. */
  #effect(node) {
    if (ts.isPostfixUnaryExpression(node)) return this.#step(node);
    if (ts.isCallExpression(node) && isMethod(node)) {
      const [first, ...rest] = node.arguments;
      const value = rest.length > 0 ? this.#value(rest[0]) : "";
      // an array is looked up before what is to be written: growth must not replace it in between
      if (isStore(node) && /this\.\w+\(/.test(rest.map((each) => this.#value(each)).join()))
        throw unknown(node);
      switch (node.expression.name.text) {
        case "setWord":
          return `${this.#header(first)} = ${value}`;
        case "setWordAt":
          return `${this.#header(first, rest[0])} = ${this.#value(rest[1])}`;
        case "store":
          return `${this.#word(first, rest[1])} = ${value}`;
        case "storeHalf":
          return `${this.#half(first, rest[1])} = ${value}`;
        case "storeByte":
          return `${this.#byte(first, rest[1])} = ${value}`;
        case "add":
        case "subtract": {
          const sign = node.expression.name.text === "add" ? "+" : "-";
          const change = (offset, by) => {
            const word = `this.words[${this.#at(this.#constant(first) + offset)}]`;
            return `${word} = (${word}! ${sign} ${this.#value(by)}) | 0`;
          };
          return `${change(0, rest[0])};\n${change(1, rest[1])}`;
        }
      }
    }
    return this.#value(node);
  }

  #value(node) {
    const constant = this.#constant(node);
    if (constant !== undefined) return String(constant);
    if (ts.isIdentifier(node)) return this.#bound.get(node.text) ?? node.text;
    // whatever needs parentheses has some
    if (ts.isParenthesizedExpression(node)) return this.#value(node.expression);
    if (node.kind === SyntaxKind.TrueKeyword || node.kind === SyntaxKind.FalseKeyword) return node.getText();
    if (ts.isConditionalExpression(node)) {
      const [condition, yes, no] = [node.condition, node.whenTrue, node.whenFalse].map((each) =>
        this.#value(each),
      );
      return `(${condition} ? ${yes} : ${no})`;
    }
    if (ts.isPrefixUnaryExpression(node)) return this.#prefix(node);
    if (ts.isBinaryExpression(node)) return this.#binary(node);
    if (ts.isCallExpression(node)) return this.#call(node);
    throw unknown(node);
  }

  #prefix(node) {
    const value = () => this.#value(node.operand);
    switch (node.operator) {
      case SyntaxKind.ExclamationToken:
        return `!${value()}`;
      case SyntaxKind.TildeToken:
        return `~${value()}`;
      case SyntaxKind.MinusToken:
        return `((0 - ${value()}) | 0)`;
      case SyntaxKind.MinusMinusToken:
        return `(${this.#step(node)})`;
    }
    throw unknown(node);
  }

  /** `++` or `--`. */
  #step(node) {
    const name = node.operand.text;
    return `${name} = (${name} ${node.operator === SyntaxKind.PlusPlusToken ? "+" : "-"} 1) | 0`;
  }

  #binary(node) {
    const operator = node.operatorToken.getText();
    const [left, right] = [node.left, node.right];
    const both = () => [this.#value(left), this.#value(right)];
    switch (operator) {
      case "+":
      case "-":
        return `((${both().join(` ${operator} `)}) | 0)`;
      case "*":
        return `Math.imul(${both().join(", ")})`;
      case "/":
        return `((${both().map(unsigned).join(" / ")}) | 0)`;
      case "<":
      case "<=":
      case ">":
      case ">=":
        return `(${both().map(unsigned).join(` ${operator} `)})`;
      case ">>>":
        if (this.#constant(right) === 0) return this.#value(left);
        return this.#constant(right) > 0 ? `(${both().join(" >>> ")})` : `((${both().join(" >>> ")}) | 0)`;
      case "&&":
      case "||":
      case "&":
      case "|":
      case "<<":
      case "===":
      case "^":
      case "!==":
        return `(${both().join(` ${operator} `)})`;
      case "=":
        return both().join(" = ");
      case "+=":
      case "-=":
        return `${left.text} = (${left.text} ${operator[0]} ${this.#value(right)}) | 0`;
    }
    throw unknown(node);
  }

  #call(node) {
    const { arguments: given, expression } = node;
    const [first, second] = given;
    if (isMethod(node)) {
      const name = expression.name.text;
      if (name === "word") return `${this.#header(first)}!`;
      if (name === "wordAt") return `${this.#header(first, second)}!`;
      if (name === "load") return `${this.#word(first, second)}!`;
      if (name === "loadHalf") return `${this.#half(first, second)}!`;
      if (name === "loadByte") return `${this.#byte(first, second)}!`;
      const call = `this.${name}(${given.map((each) => this.#value(each)).join(", ")})`;
      const method = this.methods.find((each) => each.name.text === name);
      return this.open.has(name) && isNumber(method.type) ? `(${call} | 0)` : call;
    }
    if (expression.getText().startsWith("Math.")) return `${expression.getText()}(${this.#value(first)})`;
    const called = this.functions.get(expression.text);
    if (called === undefined) throw unknown(node);
    const values = given.map((each) => this.#value(each));
    const [statement, ...more] = called.body.statements;
    // what is one expression is written in place, unless that would compute something twice
    const simple = values.every((value) => /^(\w+|-?\d+)$/.test(value));
    const once = called.parameters.every(
      ({ name }) => called.body.getText().match(new RegExp(`\\b${name.text}\\b`, "g")).length < 2,
    );
    if (more.length > 0 || !ts.isReturnStatement(statement) || !(simple || once)) {
      this.called.add(called);
      return `${expression.text}(${values.join(", ")})`;
    }
    const outer = this.#bound;
    this.#bound = new Map(called.parameters.map(({ name }, i) => [name.text, values[i]]));
    const value = this.#value(statement.expression);
    this.#bound = outer;
    return value;
  }

  /** A word of the header: at a constant, or at an index of a table there. */
  #header(table, index) {
    const begin = this.#constant(table);
    if (begin === undefined) throw unknown(table);
    const at = this.#at(begin);
    return `this.words[${index === undefined ? at : `${at} + ${this.#value(index)}`}]`;
  }

  #at(index) {
    return index === 0 ? "this.header" : `this.header + ${index}`;
  }

  #word(address, offset = 0) {
    return `this.words[${this.#sum(address, offset)} >>> 2]`;
  }

  #half(address, offset) {
    return `this.halves[${this.#sum(address, offset)} >>> 1]`;
  }

  #byte(address, offset) {
    return `this.bytes[${this.#sum(address, offset)} >>> 0]`;
  }

  #sum(address, offset) {
    const by = typeof offset === "number" ? offset : this.#constant(offset);
    return by === 0 ? this.#value(address) : `(${this.#value(address)} + ${by})`;
  }

  /** The value of a constant expression as a word with a sign; undefined of any other. */
  #constant(node) {
    const value = this.#evaluate(node);
    return value === undefined ? undefined : value | 0;
  }

  #evaluate(node) {
    if (ts.isNumericLiteral(node)) return Number(node.text);
    if (ts.isIdentifier(node)) return this.#bound.has(node.text) ? undefined : this.constants.get(node.text);
    if (ts.isPropertyAccessExpression(node)) return this.constants.get(node.getText());
    if (ts.isParenthesizedExpression(node)) return this.#evaluate(node.expression);
    if (ts.isPrefixUnaryExpression(node) && node.operator === SyntaxKind.TildeToken) {
      const value = this.#evaluate(node.operand);
      return value === undefined ? undefined : ~value;
    }
    if (!ts.isBinaryExpression(node)) return undefined;
    const [left, right] = [this.#evaluate(node.left), this.#evaluate(node.right)];
    if (left === undefined || right === undefined) return undefined;
    switch (node.operatorToken.getText()) {
      case "+":
        return left + right;
      case "-":
        return left - right;
      case "*":
        return left * right;
      case "<<":
        return left << right;
      case "|":
        return left | right;
      case "&":
        return left & right;
      case ">>>":
        return left >>> right;
    }
    return undefined;
  }
}

function isMethod(node) {
  return (
    ts.isPropertyAccessExpression(node.expression) &&
    node.expression.expression.kind === SyntaxKind.ThisKeyword
  );
}

function isStore(node) {
  return /^(set|store|add$|subtract$)/.test(node.expression.name.text);
}

function isNumber(type) {
  return type.kind === SyntaxKind.NumberKeyword;
}

function list(parameters) {
  return parameters.map((each) => each.getText()).join(", ");
}

/** A word as one without a sign. */
function unsigned(value) {
  return /^\d+$/.test(value) ? value : `(${value} >>> 0)`;
}

function unknown(node) {
  const { fileName, text } = node.getSourceFile();
  const line = text.slice(0, node.getStart()).split("\n").length;
  return new Error(
    `${fileName}:${line}: the heap's source uses what is not compiled to JavaScript: ${node.getText()}`,
  );
}
