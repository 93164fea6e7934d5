/* distinct: about how many different values came lately, in 528 bytes.
 *
 * HyperLogLog (Flajolet, Fusy, Gandouet and Meunier, 2007) with 256 registers: the standard error is
 * 6.5 %, less of few values. There are two generations of registers: what has not come since the
 * turn before the last is forgotten. */
#ifndef WEIR_PROCESSORS_CARDINALITY_LIMIT_DISTINCT_H
#define WEIR_PROCESSORS_CARDINALITY_LIMIT_DISTINCT_H

#include <stdint.h>

enum { DISTINCT_REGISTERS = 256 };

/* Zeroed: no values. */
struct distinct {
	uint8_t now[DISTINCT_REGISTERS], before[DISTINCT_REGISTERS];
	uint16_t filled; /* registers that are not 0 in both; grows with the number of values */
	double raised; /* what the sum of 2^-register has lost, so that an estimate costs little */
};

/* All bits of the hash must be good ones. */
void distinct_add(struct distinct *d, uint64_t hash);
void distinct_turn(struct distinct *d);
double distinct_estimate(const struct distinct *d);

#endif
