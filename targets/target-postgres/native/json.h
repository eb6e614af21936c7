/* Reading JSON in place, forwards only, and strictly.
 *
 * Every function here is given a pointer into a block whose last byte is a newline, and steps only over bytes that it has
 * looked at and that are no newline: JSON on one line holds none. So none can leave the block, and none asks at each byte
 * where it ends; only reading several bytes at once does.
 *
 * A function returns the first byte after what it read, or NULL: this is no JSON, or JSON that the Python path should judge
 * (NaN, NUL, half a surrogate pair, -0, numbers and nesting beyond all measure, tabs between tokens).
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t byte;

enum { LONGEST_NUMBER = 256, LONGEST_EXPONENT = 3, DEEPEST = 64 };

typedef struct {
    const byte *end;         /* of the block */
    bool escaped;            /* a string with a backslash was read since the caller cleared this */
    /* the number read last */
    bool integer;            /* neither fraction nor exponent */
    bool exponent;
    size_t digits, decimals; /* before and after the point */
} reader;

static const byte *skip_spaces(const byte *p)
{
    while (*p == ' ')
        p++;
    return p;
}

/* The digit's value plus one; 0: it is none. Digits of a UUID are too random for branches. */
static const byte hex_digits[256] = {
    ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static int hex_digit(byte c)
{
    return hex_digits[c] - 1;
}

/* The number that four hexadecimal digits spell, or -1. */
static int32_t hex4(const byte *p)
{
    int32_t number = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        number = number << 4 | digit;
    }
    return number;
}

/* p is at a backslash. */
static const byte *skip_escape(const byte *p)
{
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return p + 2;
    case 'u': {
        int32_t code = hex4(p + 2);
        if (code <= 0 || (code >= 0xDC00 && code <= 0xDFFF))
            return NULL;
        if (code < 0xD800 || code > 0xDFFF)
            return p + 6;
        if (p[6] != '\\' || p[7] != 'u')
            return NULL;
        int32_t low = hex4(p + 8);
        return low >= 0xDC00 && low <= 0xDFFF ? p + 12 : NULL;
    }
    default:
        return NULL;
    }
}

static bool is_continuation(byte c)
{
    return (c & 0xC0) == 0x80;
}

/* p is at a byte of 0x80 or more: one well-formed character of UTF-8 (RFC 3629). */
static const byte *skip_utf8(const byte *p)
{
    byte lead = p[0], second = p[1];
    if (lead < 0xC2 || lead > 0xF4 || !is_continuation(second))
        return NULL;
    if (lead < 0xE0)
        return p + 2;
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || !is_continuation(p[2]))
        return NULL;
    if (lead < 0xF0)
        return p + 3;
    if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F) || !is_continuation(p[3]))
        return NULL;
    return p + 4;
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Step over bytes that mean only themselves inside a string, eight at a time. */
static const byte *skip_plain(const byte *p, const byte *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
        /* The high bit of each byte that is a quote, a backslash, below 0x20, or above 0x7F. A borrow may mark a byte too
         * many, but only after one that is marked rightly. */
        uint64_t special = (((quote - EACH_BYTE(1)) & ~quote) | ((backslash - EACH_BYTE(1)) & ~backslash) |
                            ((word - EACH_BYTE(0x20)) & ~word) | word) & EACH_BYTE(0x80);
        if (special) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            p += __builtin_ctzll(special) >> 3;
#endif
            return p;
        }
        p += 8;
    }
    return p;
}

/* p is after the opening quote; returns the place of the closing one. */
static const byte *skip_string(reader *r, const byte *p)
{
    for (;;) {
        p = skip_plain(p, r->end);
        if (*p == '"')
            return p;
        if (*p == '\\') {
            r->escaped = true;
            p = skip_escape(p);
        } else if (*p >= 0x80) {
            do
                p = skip_utf8(p);
            while (p && *p >= 0x80);
        } else {
            p = *p < 0x20 ? NULL : p + 1;
        }
        if (!p)
            return NULL;
    }
}

static bool is_digit(byte c)
{
    return (byte)(c - '0') < 10;
}

static const byte *skip_digits(const byte *p)
{
    while (is_digit(*p))
        p++;
    return p;
}

static const byte *skip_number(reader *r, const byte *p)
{
    const byte *start = p;
    p += *p == '-';
    const byte *first = p;
    p = *p == '0' ? p + 1 : skip_digits(p);
    r->digits = (size_t)(p - first);
    r->decimals = 0;
    r->integer = true;
    r->exponent = false;
    if (r->digits == 0)
        return NULL;
    if (*p == '.') {
        first = ++p;
        p = skip_digits(p);
        r->decimals = (size_t)(p - first);
        r->integer = false;
        if (r->decimals == 0)
            return NULL;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        first = p;
        p = skip_digits(p);
        r->integer = false;
        r->exponent = true;
        if (p == first || p - first > LONGEST_EXPONENT)
            return NULL;
    }
    /* Python reads -0 as the integer 0, a float column reads it as minus zero. */
    bool minus_zero = r->integer && start[0] == '-' && start[1] == '0';
    return minus_zero || p - start > LONGEST_NUMBER ? NULL : p;
}

static const byte *skip_word(const byte *p, const char *word)
{
    while (*word)
        if (*p++ != (byte)*word++)
            return NULL;
    return p;
}

/* How many characters a string has that skip_string accepted. */
static size_t count_characters(const byte *p, const byte *end)
{
    size_t count = 0;
    while (p < end) {
        if (*p == '\\') {
            p = skip_escape(p);
            count++;
        } else {
            count += !is_continuation(*p++);
        }
    }
    return count;
}

#endif
