/* From a number's digits to the integer, the numeric or the float that Postgres would read from them. */
#ifndef NUMBERS_H
#define NUMBERS_H

#include <math.h>
#include <stdlib.h>

#include "bytes.h"
#include "json.h"

/* A number as it is written: digits * 10^exponent, without zeros before and after the digits; none are 0. */
typedef struct {
    size_t count;
    int32_t exponent;
    int32_t scale; /* how many digits follow the point once the exponent is applied; those of 1.50 are two */
    bool negative;
    byte digits[LONGEST_NUMBER];
} decimal;

/* text is at most LONGEST_NUMBER long: a JSON number, or one with zeros in front or nothing after the point. */
static void read_decimal(const byte *text, size_t length, decimal *into)
{
    const byte *end = text + length, *p = text;
    int32_t decimals = 0, exponent = 0, trailing = 0;
    into->negative = *p == '-';
    into->count = 0;
    for (p += into->negative; p < end && is_digit(*p); p++)
        if (into->count || *p != '0')
            into->digits[into->count++] = *p - '0';
    if (p < end && *p == '.')
        for (p++; p < end && is_digit(*p); p++, decimals++)
            if (into->count || *p != '0')
                into->digits[into->count++] = *p - '0';
    if (p < end) { /* at the e */
        bool negative = *++p == '-';
        for (p += negative || *p == '+'; p < end; p++)
            exponent = exponent * 10 + (*p - '0');
        exponent = negative ? -exponent : exponent;
    }
    while (into->count && into->digits[into->count - 1] == 0) {
        into->count--;
        trailing++;
    }
    into->scale = decimals > exponent ? decimals - exponent : 0;
    into->exponent = exponent - decimals + trailing;
}

/* Groups of four digits around the point; weight is how many groups stand between the first one and the point. */
static byte *write_numeric(byte *out, const byte *text, size_t length)
{
    decimal number;
    read_decimal(text, length, &number);
    int32_t first = (int32_t)number.count + number.exponent - 1; /* the power of ten of the first digit */
    int32_t weight = first >= 0 ? first / 4 : -((3 - first) / 4);
    size_t ahead = (size_t)(first - 4 * weight), groups = 0; /* digits that follow the first one within its group */
    byte *header = out;
    out += 8;
    for (size_t i = 0; i < number.count; groups++) {
        uint32_t group = 0;
        for (size_t left = (groups ? 3 : ahead) + 1; left; left--, i++)
            group = group * 10 + (i < number.count ? number.digits[i] : 0);
        out = write_int16(out, group);
    }
    header = write_int16(header, (uint32_t)groups);
    header = write_int16(header, groups ? (uint32_t)weight : 0);
    header = write_int16(header, groups && number.negative ? 0x4000 : 0);
    write_int16(header, (uint32_t)number.scale);
    return out;
}

enum { MOST_NUMERIC_BYTES = 16 }; /* beyond one byte for each byte of text */

/* For strtod, without a point, which is another character in some locales. */
static void spell(const decimal *number, char *into)
{
    uint32_t exponent = (uint32_t)abs(number->exponent);
    *into++ = number->negative ? '-' : '+';
    *into++ = '0';
    for (size_t i = 0; i < number->count; i++)
        *into++ = (char)('0' + number->digits[i]);
    *into++ = 'e';
    *into++ = number->exponent < 0 ? '-' : '+';
    for (uint32_t unit = 1000; unit; unit /= 10)
        *into++ = (char)('0' + exponent / unit % 10);
    *into = 0;
}

enum { LONGEST_SPELLED = LONGEST_NUMBER + 16 };

/* False: the number is beyond all floats, or so near to zero that it would become zero. */
static bool read_float8(const byte *text, size_t length, uint64_t *bits)
{
    decimal number;
    char spelled[LONGEST_SPELLED];
    read_decimal(text, length, &number);
    spell(&number, spelled);
    double nearest = strtod(spelled, NULL);
    memcpy(bits, &nearest, sizeof nearest);
    return isfinite(nearest) && (nearest != 0) == (number.count != 0);
}

/* Not by way of a double, which would round twice. */
static bool read_float4(const byte *text, size_t length, uint64_t *bits)
{
    decimal number;
    char spelled[LONGEST_SPELLED];
    uint32_t word;
    read_decimal(text, length, &number);
    spell(&number, spelled);
    float nearest = strtof(spelled, NULL);
    memcpy(&word, &nearest, sizeof word);
    *bits = word;
    return isfinite(nearest) && (nearest != 0) == (number.count != 0);
}

/* A sign and digits, within a two's complement of so many bytes. */
static bool read_integer(const byte *text, size_t length, unsigned width, uint64_t *bits)
{
    bool negative = *text == '-';
    uint64_t number = 0, highest = (UINT64_C(1) << (8 * width - 1)) - !negative;
    if (length - negative > 19)
        return false;
    for (size_t i = negative; i < length; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    *bits = negative ? 0 - number : number;
    return number <= highest;
}

#endif
