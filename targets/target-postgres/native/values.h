/* Judging a value by its schema, and choosing how it is written into a row. */
#ifndef VALUES_H
#define VALUES_H

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

/* Whether text has a form; in it 0 stands for any digit, and everything else for itself. */
static bool looks_like(const byte *text, const char *pattern)
{
    for (; *pattern; text++, pattern++)
        if (*pattern == '0' ? !is_digit(*text) : *text != (byte)*pattern)
            return false;
    return true;
}

/* How many bytes of text are hh:mm:ss, with a fraction or not; 0: it is something else. */
static size_t time_length(const byte *text, size_t length)
{
    if (length < 8 || !looks_like(text, "00:00:00"))
        return 0;
    if (length == 8 || text[8] != '.')
        return 8;
    size_t i = 9;
    while (i < length && is_digit(text[i]))
        i++;
    return i > 9 ? i : 0;
}

static bool is_zone(const byte *text, size_t length)
{
    if (length <= 1)
        return length == 0 || *text == 'Z';
    if (*text != '+' && *text != '-')
        return false;
    const char *pattern = length == 6 ? "00:00" : length == 5 ? "0000" : "00";
    return strlen(pattern) == length - 1 && looks_like(text + 1, pattern);
}

static bool is_date(const byte *text, size_t length)
{
    return length == 10 && looks_like(text, "0000-00-00");
}

static bool is_timestamp(const byte *text, size_t length)
{
    if (length < 11)
        return is_date(text, length);
    size_t time = is_date(text, 10) && (text[10] == 'T' || text[10] == ' ') ? time_length(text + 11, length - 11) : 0;
    return time && is_zone(text + 11 + time, length - 11 - time);
}

/* A date-time at midnight in UTC, as taps write dates. */
static bool is_midnight(const byte *text, size_t length)
{
    static const char *const endings[] = {"T00:00:00", "T00:00:00Z", "T00:00:00+00:00", "T00:00:00.000000Z"};
    if (length < 10 || !is_date(text, 10))
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strlen(endings[i]) == length - 10 && memcmp(text + 10, endings[i], length - 10) == 0)
            return true;
    return false;
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

static form uuid_form(const byte *text, size_t length)
{
    form written = VERBATIM;
    if (length != 36)
        return ABSENT;
    for (size_t i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-')
                return ABSENT;
        } else if (hex_digit(text[i]) < 0) {
            return ABSENT;
        } else if (text[i] >= 'A' && text[i] <= 'F') {
            written = LOWERED;
        }
    }
    return written;
}

static form string_form(const reader *r, kind kind, slot *s)
{
    if (kind == AS_TEXT)
        return r->escaped ? UNESCAPED : VERBATIM;
    if (r->escaped)
        return ABSENT;
    switch (kind) {
    case AS_TIMESTAMP:
        return is_timestamp(s->text, s->length) ? VERBATIM : ABSENT;
    case AS_DATE:
        if (!is_date(s->text, s->length) && !is_midnight(s->text, s->length))
            return ABSENT;
        s->length = 10;
        return VERBATIM;
    case AS_TIME:
        return s->length && time_length(s->text, s->length) == s->length ? VERBATIM : ABSENT;
    case AS_UUID:
        return uuid_form(s->text, s->length);
    case AS_NUMBER:
        return is_decimal(s->text, s->length) ? VERBATIM : ABSENT;
    default:
        return ABSENT;
    }
}

static form number_form(const reader *r, kind kind, const byte *p)
{
    bool taken = kind == AS_NUMBER;
    if (kind == AS_INTEGER)
        taken = r->integer && r->digits <= 18;
    else if (kind == AS_TEXT) /* Python writes small fractions with an exponent */
        taken = !r->exponent && (p[*p == '-'] != '0' || r->decimals <= 6);
    return taken ? VERBATIM : ABSENT;
}

/* Read the value at p into a slot. */
static const byte *read_value(reader *r, const byte *p, const value *want, kind kind, int depth, slot *s)
{
    r->escaped = false;
    const byte *after = check_value(r, p, want, depth);
    if (!after)
        return NULL;
    s->raw = s->text = p;
    s->length = (size_t)(after - p);
    if (*p == 'n') {
        s->form = IS_NULL;
    } else if (kind == ANY_KIND) {
        s->form = VERBATIM;
    } else if (kind == AS_JSON) {
        s->form = r->escaped ? JSON_ESCAPED : VERBATIM;
    } else if (*p == '"') {
        s->text++;
        s->length -= 2;
        s->form = string_form(r, kind, s);
    } else if (*p == 't' || *p == 'f') {
        s->form = kind == AS_BOOLEAN || kind == AS_TEXT ? VERBATIM : ABSENT;
        if (kind == AS_BOOLEAN)
            s->length = 1;
    } else if (*p == '{' || *p == '[') {
        s->form = ABSENT;
    } else {
        s->form = number_form(r, kind, p);
    }
    return s->form == ABSENT ? NULL : after;
}

#endif
