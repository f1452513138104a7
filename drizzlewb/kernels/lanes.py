"""Add a run of four or eight weights to the output's sums at once.

numba leaves short inner loops over three different arrays scalar, or guards each run of them with
checks for overlapping memory that cost more than the run. This writes the vector instructions
themselves, in LLVM's portable form: every processor gets them, as one or several instructions.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["TINY", "add_4", "add_8"]

TINY = 2.0**-150  # weights at or below it are zero in float32: they set no context bit


def _lanes(typed, context, builder, args, lanes):
    """Build dow = weights[first:] * factor; num += dow * value; den += dow; ctx |= bit if dow > TINY."""
    doubles = ir.VectorType(ir.DoubleType(), lanes)
    words = ir.VectorType(ir.IntType(32), lanes)

    def pointer(which, index, vector):
        array = context.make_array(typed[which])(context, builder, args[which])
        return builder.bitcast(builder.gep(array.data, [index]), vector.as_pointer())

    def load(address, align):
        vector = builder.load(address)
        vector.align = align
        return vector

    def store(vector, address, align):
        builder.store(vector, address).align = align

    def spread(scalar, vector):
        spread_out = ir.Constant(vector, ir.Undefined)
        for k in range(lanes):
            spread_out = builder.insert_element(spread_out, scalar, ir.Constant(ir.IntType(32), k))
        return spread_out

    at, first, factor, value, bit = args[3], args[5], args[6], args[7], args[8]
    dow = builder.fmul(load(pointer(4, first, doubles), 8), spread(factor, doubles))
    address = pointer(0, at, doubles)
    store(builder.fadd(load(address, 8), builder.fmul(dow, spread(value, doubles))), address, 8)
    address = pointer(1, at, doubles)
    store(builder.fadd(load(address, 8), dow), address, 8)
    positive = builder.fcmp_ordered(">", dow, ir.Constant(doubles, [TINY] * lanes))
    bits = builder.select(positive, spread(bit, words), ir.Constant(words, [0] * lanes))
    address = pointer(2, at, words)
    store(builder.or_(load(address, 4), bits), address, 4)
    return context.get_dummy_value()


def _adder(lanes):
    @intrinsic
    def add(typingctx, num, den, ctx, at, weights, first, factor, value, bit):
        if not (factor == types.float64 and value == types.float64 and bit == types.uint32):
            return None
        signature = types.void(num, den, ctx, at, weights, first, factor, value, bit)

        def codegen(context, builder, signature, args):
            return _lanes(signature.args, context, builder, args, lanes)

        return signature, codegen

    return add


# add(num, den, ctx, at, weights, first, factor, value, bit): for k in 0 ... 3 or 0 ... 7,
# dow = weights[first + k] * factor; num[at + k] += dow * value; den[at + k] += dow;
# ctx[at + k] |= bit where dow > TINY. num, den, weights are 1-D float64, ctx 1-D uint32, contiguous;
# at, first integers; factor, value float64; bit uint32. Nothing checks bounds. Each operation is
# rounded by itself, so that the bits are those of the same statements in a scalar loop.
add_4 = _adder(4)
add_8 = _adder(8)
