/* Writing the pieces of COPY's binary format, which has the most significant byte first. */
#ifndef BYTES_H
#define BYTES_H

#include <stdint.h>
#include <string.h>

static uint8_t *write_bytes(uint8_t *out, const void *from, size_t length)
{
    memcpy(out, from, length);
    return out + length;
}

static uint8_t *write_int16(uint8_t *out, uint32_t number)
{
    out[0] = (uint8_t)(number >> 8);
    out[1] = (uint8_t)number;
    return out + 2;
}

static uint8_t *write_int32(uint8_t *out, uint32_t number)
{
    return write_int16(write_int16(out, number >> 16), number);
}

static uint8_t *write_int64(uint8_t *out, uint64_t number)
{
    return write_int32(write_int32(out, (uint32_t)(number >> 32)), (uint32_t)number);
}

#endif
