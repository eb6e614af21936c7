/* Writing rows as COPY's binary format wants them: a count of fields, and before each of them its length. */
#ifndef ROWS_H
#define ROWS_H

#include "jsonb.h"
#include "values.h"

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

/* The character of one escape that skip_escape accepted, at *p, which moves behind it. Never longer than the escape. */
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
    return write_character(out, code);
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

static byte *write_uuid(byte *out, const byte *p)
{
    for (const byte *end = p + 36; p < end; p += 2) {
        p += *p == '-';
        *out++ = (byte)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
    }
    return out;
}

static byte *write_null(byte *out)
{
    return write_int32(out, UINT32_MAX);
}

static byte *write_slot(byte *out, const slot *s)
{
    byte *start = out + 4;
    switch (s->form) {
    case FIXED: /* all eight bytes, of which the next field overwrites those too many */
        write_int64(start, s->bits << (64 - 8 * s->width));
        out = start + s->width;
        break;
    case VERBATIM:
        out = write_bytes(start, s->text, s->length);
        break;
    case UNESCAPED:
        out = write_unescaped(start, s->text, s->length);
        break;
    case VERSIONED: /* jsonb may come in other forms one day; this is the first one, its text */
        *start = 1;
        out = write_jsonb(start + 1, s->text, s->text + s->length);
        break;
    case DIGITS:
        out = write_numeric(start, s->text, s->length);
        break;
    case HEXADECIMAL:
        out = write_uuid(start, s->text);
        break;
    default:
        return write_null(out);
    }
    write_int32(start - 4, (uint32_t)(out - start));
    return out;
}

static byte *write_bigint(byte *out, uint64_t number)
{
    return write_int64(write_int32(out, 8), number);
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
    uint64_t sequence, read_at;
    size_t length; /* of the line, with its end */
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

enum {
    LINEAGE_FIELDS = 5,
    LONGEST_LINE = 1 << 29,
    /* What a field takes beyond its text in the line: its length and the rest of a number's header. */
    MOST_BEYOND = 4 + MOST_NUMERIC_BYTES,
};

/* Append the row of the record in the slots; false: it lacks something, or memory does. */
static bool write_row(reader *r, plan *to, const message *of)
{
    slot cursor = {.form = IS_NULL};
    if (!is_complete(to) || of->length > LONGEST_LINE)
        return false;
    if (to->lineage && to->cursor && slot_of(to, to->cursor)->form > IS_NULL &&
        !read_value(r, slot_of(to, to->cursor)->raw, NULL, TEXT, 1, &cursor))
        return false;
    /* Each value is written once, a cursor twice; then the count, and what FIXED writes too much. */
    if (!reserve(&to->output, 2 * of->length + MOST_BEYOND * (to->columns + LINEAGE_FIELDS) + to->tail_length + 16))
        return false;

    byte *out = write_int16(to->output.data + to->output.length, to->fields);
    for (size_t i = 0; i < to->columns; i++)
        out = write_slot(out, &to->slots[i]);
    if (to->lineage) {
        out = write_slot(out, &of->extracted);
        out = to->deleted ? write_slot(out, slot_of(to, to->deleted)) : write_null(out);
        out = write_bigint(out, of->sequence);
        out = write_slot(out, &of->version);
        out = write_slot(out, &cursor);
    } else if (to->sequence) {
        out = write_bigint(out, of->sequence);
    }
    byte *tail = out;
    out = write_bytes(out, to->tail, to->tail_length);
    for (size_t i = 0; i < to->stamps; i++)
        tail = write_bigint(tail, of->read_at);
    to->output.length = (size_t)(out - to->output.data);
    to->output.taken += of->length;
    to->output.lines[to->output.rows++] = of->line;
    return true;
}

#endif
