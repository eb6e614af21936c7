/* Judging a value by its schema, and choosing how it is written into its column. */
#ifndef VALUES_H
#define VALUES_H

#include "calendar.h"
#include "numbers.h"
#include "plan.h"

static const byte *check_value(reader *r, const byte *p, const value *want, int depth);

static bool may_be(const value *want, int types)
{
    return !want || want->types & types;
}

static bool within_limits(const reader *r, const byte *p, const value *want)
{
    /* A fraction lies between two integers; the limits are integers, so both have to keep them. */
    if (r->exponent || r->digits > 18)
        return false;
    bool negative = *p == '-';
    int64_t low = 0, high;
    p += negative;
    for (size_t i = 0; i < r->digits; i++)
        low = low * 10 + (p[i] - '0');
    high = low + !r->integer;
    if (negative) {
        int64_t lowest = -high;
        high = -low;
        low = lowest;
    }
    return low >= want->minimum && high <= want->maximum;
}

static bool fits_length(const value *want, const byte *p, const byte *end)
{
    return want->max_length == NONE || end - p <= want->max_length ||
           count_characters(p, end) <= (uint64_t)want->max_length;
}

static const byte *check_object(reader *r, const byte *p, const value *want, int depth)
{
    const value *named = want && (want->count || want->closed) ? want : NULL;
    member *expected = named && named->count ? named->first : NULL;
    uint64_t missing = want ? want->required : 0;
    p = skip_spaces(p + 1);
    if (*p == '}')
        return missing ? NULL : p + 1;
    for (;;) {
        if (*p++ != '"')
            return NULL;
        const value *item = NULL;
        if (named) {
            member *found = find_member(r, named, expected, p, &p);
            if (!p || (!found && named->closed))
                return NULL;
            if (found) {
                item = found->value;
                missing &= ~found->required;
                expected = found->next;
            }
        } else {
            p = skip_string(r, p);
            if (!p)
                return NULL;
            p++;
        }
        p = skip_spaces(p);
        if (*p++ != ':')
            return NULL;
        p = check_value(r, skip_spaces(p), item, depth);
        if (!p)
            return NULL;
        p = skip_spaces(p);
        if (*p == '}')
            return missing ? NULL : p + 1;
        if (*p++ != ',')
            return NULL;
        p = skip_spaces(p);
    }
}

static const byte *check_array(reader *r, const byte *p, const value *want, int depth)
{
    const value *item = want ? want->items : NULL;
    p = skip_spaces(p + 1);
    if (*p == ']')
        return p + 1;
    for (;;) {
        p = check_value(r, p, item, depth);
        if (!p)
            return NULL;
        p = skip_spaces(p);
        if (*p == ']')
            return p + 1;
        if (*p++ != ',')
            return NULL;
        p = skip_spaces(p);
    }
}

/* Step over a value of any type that is what the schema wants; want may be NULL: anything. */
static const byte *check_value(reader *r, const byte *p, const value *want, int depth)
{
    switch (*p) {
    case '"': {
        const byte *quote = may_be(want, STRING) ? skip_string(r, p + 1) : NULL;
        return quote && (!want || fits_length(want, p + 1, quote)) ? quote + 1 : NULL;
    }
    case '{':
        return may_be(want, OBJECT) && depth < DEEPEST ? check_object(r, p, want, depth + 1) : NULL;
    case '[':
        return may_be(want, ARRAY) && depth < DEEPEST ? check_array(r, p, want, depth + 1) : NULL;
    case 't':
        return may_be(want, BOOLEAN) ? skip_word(p, "true") : NULL;
    case 'f':
        return may_be(want, BOOLEAN) ? skip_word(p, "false") : NULL;
    case 'n':
        return may_be(want, NULL_TYPE) ? skip_word(p, "null") : NULL;
    default: {
        const byte *after = skip_number(r, p);
        if (!after || !may_be(want, r->integer ? INTEGER | NUMBER : NUMBER))
            return NULL;
        return !want || !want->limited || within_limits(r, p, want) ? after : NULL;
    }
    }
}

/* Digits with a sign and a fraction or without: what Python's side takes as well, and more. */
static bool is_decimal(const byte *text, size_t length)
{
    const byte *end = text + length, *p = text;
    p += *p == '-';
    const byte *first = p;
    p = skip_digits(p);
    if (p > first && *p == '.')
        p = skip_digits(p + 1);
    return p > first && p == end && length <= LONGEST_NUMBER;
}

static bool is_uuid(const byte *text, size_t length)
{
    if (length != 36)
        return false;
    for (size_t i = 0; i < 36; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' : hex_digit(text[i]) < 0)
            return false;
    return true;
}

/* What is written in so many bytes, once it is known to be right. */
static form fixed(slot *s, unsigned width, bool right)
{
    s->width = (uint8_t)width;
    return right ? FIXED : ABSENT;
}

static form number_form(slot *s, column_type type)
{
    switch (type) {
    case NUMERIC:
        return DIGITS;
    case FLOAT4:
        return fixed(s, 4, read_float4(s->text, s->length, &s->bits));
    case FLOAT8:
        return fixed(s, 8, read_float8(s->text, s->length, &s->bits));
    default:
        return ABSENT;
    }
}

static form literal_form(const reader *r, slot *s, column_type type)
{
    switch (type) {
    case INT2:
        return fixed(s, 2, r->integer && read_integer(s->text, s->length, 2, &s->bits));
    case INT4:
        return fixed(s, 4, r->integer && read_integer(s->text, s->length, 4, &s->bits));
    case INT8:
        return fixed(s, 8, r->integer && read_integer(s->text, s->length, 8, &s->bits));
    case TEXT: /* Python writes small fractions with an exponent */
        return !r->exponent && (s->text[*s->text == '-'] != '0' || r->decimals <= 6) ? VERBATIM : ABSENT;
    default:
        return number_form(s, type);
    }
}

static form string_form(const reader *r, slot *s, column_type type)
{
    int64_t counted = 0;
    bool right;
    if (type == TEXT)
        return r->escaped ? UNESCAPED : VERBATIM;
    if (r->escaped)
        return ABSENT;
    switch (type) {
    case TIMESTAMPTZ:
        right = read_timestamp(s->text, s->length, &counted);
        break;
    case DATE:
        right = read_day(s->text, s->length, &counted);
        break;
    case TIME:
        right = s->length && read_time(s->text, s->length, &counted) == s->length;
        break;
    case UUID:
        return is_uuid(s->text, s->length) ? HEXADECIMAL : ABSENT;
    default:
        return is_decimal(s->text, s->length) ? number_form(s, type) : ABSENT;
    }
    s->bits = (uint64_t)counted;
    return fixed(s, type == DATE ? 4 : 8, right);
}

static form word_form(slot *s, column_type type)
{
    s->bits = *s->text == 't';
    return type == TEXT ? VERBATIM : fixed(s, 1, type == BOOL);
}

static form form_of(const reader *r, slot *s, column_type type)
{
    switch (*s->raw) {
    case '"':
        s->text++;
        s->length -= 2;
        return string_form(r, s, type);
    case 't': case 'f':
        return word_form(s, type);
    case '{': case '[':
        return ABSENT;
    default:
        return literal_form(r, s, type);
    }
}

/* Read the value at p into a slot. */
static const byte *read_value(reader *r, const byte *p, const value *want, column_type type, int depth, slot *s)
{
    r->escaped = false;
    const byte *after = check_value(r, p, want, depth);
    if (!after)
        return NULL;
    s->raw = s->text = p;
    s->length = (size_t)(after - p);
    if (*p == 'n')
        s->form = IS_NULL;
    else if (type == NO_COLUMN || type == JSON)
        s->form = VERBATIM;
    else if (type == JSONB)
        s->form = VERSIONED;
    else
        s->form = form_of(r, s, type);
    return s->form == ABSENT ? NULL : after;
}

#endif
