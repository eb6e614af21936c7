/* Writing rows as COPY's text format wants them. */
#ifndef ROWS_H
#define ROWS_H

#include "values.h"

static byte *write_bytes(byte *out, const void *from, size_t length)
{
    memcpy(out, from, length);
    return out + length;
}

static byte *write_number(byte *out, uint64_t number)
{
    byte digits[20], *first = digits + sizeof digits;
    do
        *--first = (byte)('0' + number % 10);
    while (number /= 10);
    return write_bytes(out, first, (size_t)(digits + sizeof digits - first));
}

static byte *write_character(byte *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (byte)code;
    } else if (code < 0x800) {
        *out++ = (byte)(0xC0 | code >> 6);
        *out++ = (byte)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *out++ = (byte)(0xE0 | code >> 12);
        *out++ = (byte)(0x80 | (code >> 6 & 0x3F));
        *out++ = (byte)(0x80 | (code & 0x3F));
    } else {
        *out++ = (byte)(0xF0 | code >> 18);
        *out++ = (byte)(0x80 | (code >> 12 & 0x3F));
        *out++ = (byte)(0x80 | (code >> 6 & 0x3F));
        *out++ = (byte)(0x80 | (code & 0x3F));
    }
    return out;
}

/* One escape that skip_escape accepted, at *p: as COPY wants the character; *p moves behind it. Never longer than it was. */
static byte *write_escape(byte *out, const byte **p)
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const byte *at = *p;
    uint32_t code = at[1];
    *p = skip_escape(at);
    if (code == 'u') {
        code = (uint32_t)hex4(at + 2);
        if (code >= 0xD800 && code <= 0xDFFF)
            code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)hex4(at + 8) - 0xDC00);
    } else {
        const char *letter = strchr(letters, (int)code);
        if (letter)
            code = (byte)meant[letter - letters];
    }
    switch (code) {
    case '\\': return write_bytes(out, "\\\\", 2);
    case '\t': return write_bytes(out, "\\t", 2);
    case '\n': return write_bytes(out, "\\n", 2);
    case '\r': return write_bytes(out, "\\r", 2);
    default: return write_character(out, code);
    }
}

static byte *write_unescaped(byte *out, const byte *p, size_t length)
{
    const byte *end = p + length;
    for (;;) {
        const byte *escape = memchr(p, '\\', (size_t)(end - p));
        out = write_bytes(out, p, (size_t)((escape ? escape : end) - p));
        if (!escape)
            return out;
        p = escape;
        out = write_escape(out, &p);
    }
}

/* JSON keeps its escapes: COPY takes one backslash of two away. */
static byte *write_json(byte *out, const byte *p, size_t length)
{
    const byte *end = p + length;
    for (;;) {
        const byte *escape = memchr(p, '\\', (size_t)(end - p));
        out = write_bytes(out, p, (size_t)((escape ? escape : end) - p));
        if (!escape)
            return out;
        out = write_bytes(out, "\\\\", 2);
        p = escape + 1;
    }
}

static byte *write_slot(byte *out, const slot *s)
{
    switch (s->form) {
    case VERBATIM:
        return write_bytes(out, s->text, s->length);
    case UNESCAPED:
        return write_unescaped(out, s->text, s->length);
    case JSON_ESCAPED:
        return write_json(out, s->text, s->length);
    case LOWERED:
        for (size_t i = 0; i < s->length; i++)
            *out++ = s->text[i] >= 'A' && s->text[i] <= 'Z' ? s->text[i] | 0x20 : s->text[i];
        return out;
    default:
        return write_bytes(out, "\\N", 2);
    }
}

static bool reserve(output *o, size_t more)
{
    if (o->capacity - o->length < more) {
        size_t capacity = o->capacity * 2 > o->length + more ? o->capacity * 2 : o->length + more;
        byte *data = realloc(o->data, capacity);
        if (!data)
            return false;
        o->data = data;
        o->capacity = capacity;
    }
    if (o->rows == o->lines_capacity) {
        size_t capacity = o->lines_capacity ? o->lines_capacity * 2 : 256;
        uint32_t *lines = realloc(o->lines, capacity * sizeof *lines);
        if (!lines)
            return false;
        o->lines = lines;
        o->lines_capacity = capacity;
    }
    return true;
}

/* What of a RECORD message goes into its row besides the record. */
typedef struct {
    slot extracted, version;
    uint64_t sequence;
    size_t length; /* of the line */
    uint32_t line;
} message;

static const slot *slot_of(const plan *to, const member *m)
{
    return &to->slots[m - to->values[0].members];
}

static bool is_complete(const plan *to)
{
    const member *members = to->values[0].members;
    for (size_t i = 0; i < to->values[0].count; i++)
        if (to->slots[i].form <= IS_NULL && (members[i].key || (members[i].is_required && to->slots[i].form == ABSENT)))
            return false;
    return true;
}

/* Append the row of the record in the slots; false: it lacks something, or memory does. */
static bool write_row(reader *r, plan *to, const message *of)
{
    slot cursor = {.form = IS_NULL};
    if (!is_complete(to))
        return false;
    if (to->lineage && to->cursor && slot_of(to, to->cursor)->form > IS_NULL &&
        !read_value(r, slot_of(to, to->cursor)->raw, NULL, AS_TEXT, 1, &cursor))
        return false;
    /* Each value is written once, a cursor twice, and a backslash may double; then tabs, NULLs, and two numbers. */
    if (!reserve(&to->output, 4 * of->length + 3 * to->columns + to->tail_length + 128))
        return false;

    byte *start = to->output.data + to->output.length, *out = start;
    for (size_t i = 0; i < to->columns; i++) {
        out = write_slot(out, &to->slots[i]);
        *out++ = '\t';
    }
    if (to->lineage) {
        out = write_slot(out, &of->extracted);
        *out++ = '\t';
        if (to->deleted)
            out = write_slot(out, slot_of(to, to->deleted));
        else
            out = write_bytes(out, "\\N", 2);
        *out++ = '\t';
        out = write_number(out, of->sequence);
        *out++ = '\t';
        out = write_slot(out, &of->version);
        *out++ = '\t';
        out = write_slot(out, &cursor);
        *out++ = '\t';
    } else if (to->sequence) {
        out = write_number(out, of->sequence);
        *out++ = '\t';
    }
    if (out > start)
        out--;
    out = write_bytes(out, to->tail, to->tail_length);
    *out++ = '\n';
    to->output.length = (size_t)(out - to->output.data);
    to->output.lines[to->output.rows++] = of->line;
    return true;
}

#endif
