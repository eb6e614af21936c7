/* Dates and times as Postgres counts them: days and microseconds since 2000-01-01, in UTC. */
#ifndef CALENDAR_H
#define CALENDAR_H

#include "json.h"

#define MICROSECONDS_PER_DAY INT64_C(86400000000)

/* With & instead of &&, here and below: one branch for a whole form is cheaper than one for each digit. */
static bool is_pair(const byte *p)
{
    return is_digit(p[0]) & is_digit(p[1]);
}

static int32_t pair(const byte *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

static int32_t days_in_month(int32_t year, int32_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* yyyy-mm-dd, a day that the Gregorian calendar has. */
static bool read_date(const byte *text, size_t length, int64_t *days)
{
    if (length != 10 || !(is_pair(text) & is_pair(text + 2) & (text[4] == '-') & is_pair(text + 5) & (text[7] == '-') &
                          is_pair(text + 8)))
        return false;
    int32_t year = pair(text) * 100 + pair(text + 2), month = pair(text + 5);
    int32_t day = pair(text + 8);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return false;
    /* Years start in March here, so that the leap day is the last one; 153 days are five months from there on. */
    int32_t from_march = (month + 9) % 12, years = year - (month < 3);
    int32_t since_year_0 = years * 365 + years / 4 - years / 100 + years / 400 + (153 * from_march + 2) / 5 + day - 1;
    *days = since_year_0 - 730425;
    return true;
}

/* hh:mm:ss with a fraction or not; returns how many bytes that are, 0: it is none. Digits that Postgres would round are left
 * over, and no zone starts with a digit. */
static size_t read_time(const byte *text, size_t length, int64_t *microseconds)
{
    if (length < 8 || !(is_pair(text) & (text[2] == ':') & is_pair(text + 3) & (text[5] == ':') & is_pair(text + 6)))
        return 0;
    int32_t hours = pair(text), minutes = pair(text + 3), seconds = pair(text + 6);
    if (hours > 23 || minutes > 59 || seconds > 59)
        return 0;
    static const int32_t tens[] = {1, 10, 100, 1000, 10000, 100000};
    *microseconds = ((int64_t)(hours * 60 + minutes) * 60 + seconds) * 1000000;
    if (length == 8 || text[8] != '.')
        return 8;
    int32_t fraction = 0;
    size_t i = 9;
    for (; i < length && i < 15 && is_digit(text[i]); i++)
        fraction = fraction * 10 + (text[i] - '0');
    if (i == 9)
        return 0;
    *microseconds += fraction * tens[15 - i];
    while (i < length && text[i] == '0')
        i++;
    return i;
}

/* Z, an offset, or nothing, which is UTC too. */
static bool read_zone(const byte *text, size_t length, int64_t *microseconds)
{
    *microseconds = 0;
    if (length <= 1)
        return length == 0 || *text == 'Z';
    bool colon = length == 6 && text[3] == ':';
    if ((*text != '+' && *text != '-') || (length != 3 && length != 5 && !colon))
        return false;
    const byte *last = text + length - 2;
    if (!(is_pair(text + 1) & is_pair(last)))
        return false;
    int32_t hours = pair(text + 1), minutes = length > 3 ? pair(last) : 0;
    if (hours > 15 || minutes > 59)
        return false;
    *microseconds = (int64_t)(hours * 60 + minutes) * (*text == '-' ? -60000000 : 60000000);
    return true;
}

/* A date, or a date and a time with T or a space between, with a zone or without one. */
static bool read_timestamp(const byte *text, size_t length, int64_t *microseconds)
{
    int64_t days, time = 0, zone = 0;
    if (length < 10 || !read_date(text, 10, &days))
        return false;
    if (length > 10) {
        size_t taken = text[10] == 'T' || text[10] == ' ' ? read_time(text + 11, length - 11, &time) : 0;
        if (!taken || !read_zone(text + 11 + taken, length - 11 - taken, &zone))
            return false;
    }
    *microseconds = days * MICROSECONDS_PER_DAY + time - zone;
    return true;
}

/* A date, or a date-time at midnight in UTC, as taps write dates. */
static bool read_day(const byte *text, size_t length, int64_t *days)
{
    static const char *const endings[] = {"", "T00:00:00", "T00:00:00Z", "T00:00:00+00:00", "T00:00:00.000000Z"};
    if (length < 10 || !read_date(text, 10, days))
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strlen(endings[i]) == length - 10 && memcmp(text + 10, endings[i], length - 10) == 0)
            return true;
    return false;
}

#endif
