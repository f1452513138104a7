"""Add a run of four weights to the output's sums at once.

numba leaves short inner loops over three different arrays scalar, or guards each run of them with
checks for overlapping memory that cost more than the run. This writes the vector instructions
themselves, in LLVM's portable form: every processor gets them, as one, two or four instructions.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["LANES", "TINY", "add_run"]

LANES = 4
TINY = 2.0**-150  # weights at or below it are zero in float32: they set no context bit


@intrinsic
def add_run(typingctx, num, den, ctx, at, weights, first, factor, value, bit):
    """For k = 0 ... 3: dow = weights[first + k] * factor; num[at + k] += dow * value;
    den[at + k] += dow; ctx[at + k] |= bit where dow > TINY.

    num, den, weights are 1-D float64, ctx 1-D uint32, contiguous; at, first integers; factor, value
    float64; bit uint32. Nothing checks bounds. Each operation is rounded by itself, so that the bits
    are those of the same statement in a scalar loop.
    """
    signature = types.void(num, den, ctx, at, weights, first, factor, value, bit)
    if not (isinstance(value, types.Float) and value.bitwidth == 64 and factor == value):
        return None

    def codegen(context, builder, signature, args):
        doubles = ir.VectorType(ir.DoubleType(), LANES)
        words = ir.VectorType(ir.IntType(32), LANES)

        def pointer(which, index, vector):
            array = context.make_array(signature.args[which])(context, builder, args[which])
            return builder.bitcast(builder.gep(array.data, [index]), vector.as_pointer())

        def load(address, align):
            vector = builder.load(address)
            vector.align = align
            return vector

        def store(vector, address, align):
            builder.store(vector, address).align = align

        def spread(scalar, vector):
            spread_out = ir.Constant(vector, ir.Undefined)
            for k in range(LANES):
                spread_out = builder.insert_element(spread_out, scalar, ir.Constant(ir.IntType(32), k))
            return spread_out

        at_, first_, factor_, value_, bit_ = args[3], args[5], args[6], args[7], args[8]
        dow = builder.fmul(load(pointer(4, first_, doubles), 8), spread(factor_, doubles))
        address = pointer(0, at_, doubles)
        store(builder.fadd(load(address, 8), builder.fmul(dow, spread(value_, doubles))), address, 8)
        address = pointer(1, at_, doubles)
        store(builder.fadd(load(address, 8), dow), address, 8)
        positive = builder.fcmp_ordered(">", dow, ir.Constant(doubles, [TINY] * LANES))
        bits = builder.select(positive, spread(bit_, words), ir.Constant(words, [0] * LANES))
        address = pointer(2, at_, words)
        store(builder.or_(load(address, 4), bits), address, 4)
        return context.get_dummy_value()

    return signature, codegen
