#!/usr/bin/env python3
"""Derives from the rows of the op table what else must agree with them.

usage: ops.py HEADER TABLE CALLS DEPENDENCIES COMPILER ARG... -- SOURCE.c...

Runs the SOURCEs through the preprocessor, in which PL_OP leaves a mark, and reads each row's
texts: name, group, inputs, attributes, doc. Writes

  HEADER  perilune_ops.h: one C function a row
  TABLE   op_table.c: the parsed inputs and attributes of each row, and the list of rows
  CALLS   op_calls.h: a call of each of these functions, for the tests
  DEPENDENCIES  what was read, in the form of make

A row that cannot be read, or two of one name, end the build with a message that names the row.
"""

import re
import subprocess
import sys
import tempfile

MARK = re.compile(r"@row ([\w.]+) @(.*?)@end", re.S)
FIELD = re.compile(r'\.(\w+)\s*=\s*((?:"(?:\\.|[^"\\])*"\s*)+|[^,"]+)', re.S)
STRING = re.compile(r'"((?:\\.|[^"\\])*)"', re.S)
TYPE = re.compile(r'@attr (\w+) "(\w+)" "(\w+)" (\w+) @')
ACTIVATION = re.compile(r"@activation (\w+) @")
LIMIT = re.compile(r"PL_MAX_(IN|OUT|ATTR) = (\d+)")


class Row:
    """A row's texts; `inputs` are (name, optional), `attrs` dicts. `id` is the name in C."""

    def __init__(self, name, body, types, limits):
        fields = {k: text(v) for k, v in FIELD.findall(body)}
        for key in ("group", "inputs", "doc", "samples"):
            if key not in fields:
                fail(name, f"no .{key}")
        self.name, self.doc, self.group = name, fields["doc"], fields["group"]
        self.id = name.replace(".", "_")
        self.outputs = int(fields.get("outputs", "1"))
        self.variadic = fields["inputs"].endswith("...")
        self.inputs = [(w.rstrip("?."), w.endswith("?")) for w in fields["inputs"].split()]
        self.attrs = [attribute(name, w, types) for w in fields.get("attrs", "").split()]
        if (len(self.inputs) > limits["IN"] or len(self.attrs) > limits["ATTR"]
                or self.outputs > limits["OUT"]):
            fail(name, "too many inputs, attributes or outputs")
        optional = [o for _, o in self.inputs]
        if optional != sorted(optional):
            fail(name, "an input that may be missing stands before one that may not")


def fail(name, message):
    sys.exit(f"ops.py: row {name}: {message}")


def text(value):
    """The string of C literals side by side; anything else as it is."""
    parts = STRING.findall(value)
    return "".join(parts) if parts else value.strip()


def attribute(row, word, types):
    m = re.fullmatch(r"(\w+):(\w+)(?:\(([^)]*)\))?(?:(\?)|=(\S+))?", word)
    if not m or m[2] not in types:
        fail(row, f"attribute '{word}' cannot be read")
    name, word, choices, _, default = m.groups()
    optional = bool(m[4] or default is not None or choices)
    return {"name": name, "type": word, "optional": optional, "text": choices or default or "",
            "fallback": fallback(word, types[word][2], default)}


def fallback(word, member, default):
    """The C initialiser of an attribute's value when none is given, by the member of pl_attr."""
    if word == "dim" and default is None:
        return "{.i = PL_NO_DIM}"
    if member == "ints":
        return f"{{.ints = {{2, {{{int(default)}, {int(default)}}}}}}}" if default else "{.ints = {0, {0}}}"
    if member == "d":
        value = {"inf": "HUGE_VAL", "-inf": "-HUGE_VAL", None: "0"}.get(default) or repr(float(default))
        return f"{{.d = {value}}}"
    return f"{{.i = {int({'true': 1, 'false': 0}.get(default, default) or 0)}}}"


def preprocess(compiler, source):
    """The source's text, and the files that it was made of."""
    with tempfile.NamedTemporaryFile("r", suffix=".d") as made_of:
        command = [*compiler, "-E", "-P", "-MD", "-MF", made_of.name, "-DPL_SCAN_ROWS", source]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            sys.exit(run.stderr)
        files = made_of.read().replace("\\\n", " ").split(":", 1)[1].split()
    return run.stdout, files


def read(compiler, sources):
    """The attribute types (word -> enumerator, C type, member), the activations, the rows of all
    sources, and the files that these are made of."""
    types, activations, rows, files = {}, {}, [], {}
    for source in sources:
        out, made_of = preprocess(compiler, source)
        files.update(dict.fromkeys(made_of))
        types.update({w: (e, c, m) for e, w, c, m in TYPE.findall(out)})
        activations.update(dict.fromkeys(ACTIVATION.findall(out)))
        limits = {w: int(n) for w, n in LIMIT.findall(out)}
        rows += [Row(name, body, types, limits) for name, body in MARK.findall(out)]
    names = [r.name for r in rows]
    for name in names:
        if names.count(name) > 1:
            fail(name, "there are two")
    return types, list(activations), rows, list(files)


#
# The header
#

HEAD = """/*
** perilune_ops.h: one C function a row of the op table. docs/reference.md gives shapes, formulas
** and errors. Included by perilune.h.
**
** Each builder passes the name of its row and the attributes that this header knows to pl_op_call.
** Rows grow only at their ends, with defaults, so a program that was compiled against an older
** copy of this header keeps its meaning with a newer library.
*/
#ifndef PERILUNE_H
#include "perilune.h"
#elif !defined(PERILUNE_OPS_H)
#define PERILUNE_OPS_H

@ACTIVATIONS@
} pl_activation;
/* their names in version 0.1 */
#define PL_NONE       PL_ACT_NONE
#define PL_RELU       PL_ACT_RELU
#define PL_LEAKY_RELU PL_ACT_LEAKY_RELU

#ifdef PL_ENGINE /* the library itself, which knows the rows */
bool pl_apply(const pl_op *op, int n_in, pl_tensor *const *in, const pl_attr *attr,
              pl_tensor **out);
@ROWS@
#define PL_CALL_ROW(id, name, n_in, in, n_attr, attr, n_out, out) \\
  pl_apply(&pl_row_##id, n_in, in, attr, out)
#else
#define PL_CALL_ROW(id, name, n_in, in, n_attr, attr, n_out, out) \\
  pl_op_call(name, n_in, in, n_attr, attr, n_out, out)
#endif
"""


def wrapped(words, first, then, width=100):
    lines, line = [], first
    for word in words:
        if len(line) + 1 + len(word) > width and line.strip():
            lines.append(line.rstrip())
            line = then
        line += word if line.endswith("(") or not line.strip() else " " + word
    return lines + [line]


def comment(row):
    doc = row.doc.replace('\\"', '"').replace("*/", "* /")
    lines = wrapped((doc + " */").split(), "/* ", "   ")
    return "\n".join(lines)


def parameters(row, types):
    if row.variadic:
        result = ["int n", f"pl_tensor *const *{row.inputs[0][0]}"]
    else:
        result = [f"pl_tensor *{name}" for name, _ in row.inputs]
    result += [f"{types[a['type']][1]} {a['name']}" for a in row.attrs]
    if row.outputs > 1:
        result.append(f"pl_tensor *out[{row.outputs}]")
    return result


def builder(row, types):
    several, n_attr = row.outputs > 1, len(row.attrs)
    result = "bool " if several else "pl_tensor *"
    head = wrapped([p + "," for p in parameters(row, types)[:-1]] + [parameters(row, types)[-1] + ") {"],
                   f"static inline {result}pl_{row.id}(", " " * 20)
    body = []
    if not row.variadic:
        names = ", ".join(name for name, _ in row.inputs)
        body.append(f"pl_tensor *in[{len(row.inputs)}] = {{{names}}};")
    if not several:
        body.append("pl_tensor *out = NULL;")
    if n_attr:
        body.append(f"pl_attr attr[{n_attr}];")
    for i, a in enumerate(row.attrs):
        body.append(f"attr[{i}].{types[a['type']][2]} = {a['name']};")
    inputs = f"n, {row.inputs[0][0]}" if row.variadic else f"{len(row.inputs)}, in"
    call = (f"PL_CALL_ROW({row.id}, {quoted(row.name)}, {inputs}, {n_attr}, {'attr' if n_attr else 'NULL'}, "
            f"{row.outputs}, {'out' if several else '&out'})")
    body.append(f"return {call};" if several else f"return {call} ? out : NULL;")
    return "\n".join([comment(row), *head, *(f"  {line}" for line in body), "}"])


def header(rows, types, activations):
    known = wrapped([f"pl_row_{r.id}," for r in rows[:-1]] + [f"pl_row_{rows[-1].id};"],
                    "extern const pl_op", "    ")
    names = wrapped([f"PL_ACT_{n}," for n in ["NONE", *activations][:-1]] + [f"PL_ACT_{activations[-1]}"],
                    "typedef enum { /* what an op applies to its result */\n ", "  ")
    parts, group = [HEAD.replace("@ROWS@", "\n".join(known)).replace("@ACTIVATIONS@", "\n".join(names))], None
    order = list(dict.fromkeys(r.group for r in rows))
    for row in sorted(rows, key=lambda r: order.index(r.group)):
        if row.group != group:
            group = row.group
            parts.append(f"/*\n** {group}\n*/\n")
        parts.append(builder(row, types) + "\n")
    parts.append("#undef PL_CALL_ROW\n\n#endif\n")
    return "\n".join(parts)


#
# The table
#

def quoted(word):
    return f'"{word}"'


def signature(row, types):
    inputs = ", ".join(f"{{{quoted(n)}, {str(o).lower()}}}" for n, o in row.inputs)
    attrs = ",\n           ".join(
        f"{{{quoted(a['name'])}, PL_ATTR_{types[a['type']][0]}, {str(a['optional']).lower()}, "
        f"{a['fallback']}, {quoted(a['text'])}}}" for a in row.attrs)
    return (f"const pl_signature pl_signature_{row.id} = {{\n"
            f"  .n_in = {len(row.inputs)}, .n_attr = {len(row.attrs)}, "
            f".variadic = {str(row.variadic).lower()},\n"
            f"  .in = {{{inputs}}},\n  .attr = {{{attrs or '{0}'}}},\n}};\n")


def table(rows, types):
    parts = ["/* Written by scripts/ops.py; do not edit. */\n#include <math.h>\n\n#include \"ops/table.h\"\n"]
    parts += [f"extern const pl_op pl_row_{r.id};" for r in rows] + [""]
    parts += [signature(r, types) for r in rows]
    parts.append("const pl_op *const pl_rows[] = {")
    parts += [f"    &pl_row_{r.id}," for r in rows] + ["    NULL};\n"]
    parts.append("/* By name. */\nconst pl_op *const pl_rows_sorted[] = {")
    parts += [f"    &pl_row_{r.id}," for r in sorted(rows, key=lambda r: r.name)] + ["    NULL};"]
    parts.append(f"const int pl_n_rows = {len(rows)};\n")
    return "\n".join(parts)


#
# The calls
#

def call(row, types):
    inputs = ["n", "in"] if row.variadic else [f"in[{i}]" for i in range(len(row.inputs))]
    attrs = [f"({types[a['type']][1]})a[{i}].{types[a['type']][2]}" if types[a['type']][2] != "ints"
             else f"a[{i}].ints" for i, a in enumerate(row.attrs)]
    several = row.outputs > 1
    made = f"pl_{row.id}({', '.join(inputs + attrs + (['out'] if several else []))})"
    return (f"static bool call_{row.id}(int n, pl_tensor *const *in, const pl_attr *a, "
            f"pl_tensor **out) {{\n  (void)n, (void)a;\n"
            f"  return {made if several else f'(out[0] = {made}) != NULL'};\n}}\n")


def calls(rows, types):
    parts = ["/* Written by scripts/ops.py; do not edit. */\n#include \"perilune.h\"\n"]
    parts += [call(r, types) for r in rows]
    parts.append("static const struct {\n  const char *name;\n  bool (*f)(int n, pl_tensor *const *in, "
                 "const pl_attr *a, pl_tensor **out);\n} op_calls[] = {")
    parts += [f'    {{"{r.name}", call_{r.id}}},' for r in rows] + ["};\n"]
    return "\n".join(parts)


def write(path, content):
    """Leaves a file alone that says it already, so that nothing is compiled again for it."""
    try:
        with open(path, encoding="utf-8") as f:
            if f.read() == content:
                return
    except FileNotFoundError:
        pass
    with open(path, "w", encoding="utf-8") as f:
        f.write(content)


def main():
    if "--" not in sys.argv:
        sys.exit(__doc__)
    cut = sys.argv.index("--")
    out_header, out_table, out_calls, out_files, *compiler = sys.argv[1:cut]
    types, activations, rows, files = read(compiler, sys.argv[cut + 1:])
    write(out_header, header(rows, types, activations))
    write(out_table, table(rows, types))
    write(out_calls, calls(rows, types))
    write(out_files, f"{out_header}: {' '.join(files)}\n")


if __name__ == "__main__":
    main()
