// What a transformer does row by row between its products. Each function works
// on the calling thread alone, on `rows` rows from where its pointers point.
// Arithmetic is float32; an operand of type Rows or ConstRows may be of either
// element and is widened when read and rounded when written.
//
// All levels give the same bits (a NaN's payload aside), exponentials included:
// one sequence of operations, none fused. A row's sum has 64 lanes, value i in
// lane i mod 64, which are added as a tree. Results do not depend on the stride
// or the alignment, and what lies beyond the columns is neither used nor
// changed. Operands may be the same memory or apart, never overlap in part.
#pragma once

#include <cstddef>
#include <cstdint>

#include "muonlab/kernels/row_pass_kinds.h"
#include "muonlab/kernels/rows.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

// --- RMSNorm (Zhang & Sennrich, arXiv 1910.07467) ---------------------------

/// y = x * inverse * gain, inverse = 1 / sqrt(mean(x^2) + eps) for each row.
/// `gain` (features); `inverse` (rows) is written, or null.
void rms_norm(std::size_t rows, std::size_t features, const float* x,
              std::size_t x_stride, const float* gain, float eps, const Rows& y,
              float* inverse, SimdLevel level = active_simd_level());
/// The same y again, with `inverse` read instead of computed.
void rms_norm_again(std::size_t rows, std::size_t features, const float* x,
                    std::size_t x_stride, const float* gain,
                    const float* inverse, const Rows& y,
                    SimdLevel level = active_simd_level());
/// dx += inverse * (h - u mean(h u)), u = x * inverse, h = dy * gain, and
/// dgain += sum over the rows of dy * u (added row after row). `copy`, where
/// its data are set, gets the new dx too, rounded to its element.
void rms_norm_backward(std::size_t rows, std::size_t features,
                       const ConstRows& dy, const float* x,
                       std::size_t x_stride, const float* gain,
                       const float* inverse, float* dx, std::size_t dx_stride,
                       const Rows& copy, float* dgain,
                       SimdLevel level = active_simd_level());

// --- Rotary positions and the norm of queries and keys ----------------------

/// In place. `inverse` (rows, heads) is written under `norm`, else may be null.
void prepare_heads(std::size_t rows, const HeadPass& pass, const Rows& x,
                   float* inverse, SimdLevel level = active_simd_level());
/// In place: dx from dy. `y` is what prepare_heads left (read under `norm`).
void prepare_heads_backward(std::size_t rows, const HeadPass& pass,
                            const ConstRows& y, const float* inverse,
                            const Rows& d,
                            SimdLevel level = active_simd_level());

// --- Feed-forward activations ------------------------------------------------

[[nodiscard]] bool is_gated(Activation activation) noexcept;
void activate(Activation activation, std::size_t rows, std::size_t hidden,
              const ConstRows& x, const Rows& y,
              SimdLevel level = active_simd_level());
/// x becomes dx; d, which is dy, becomes y again (the second product's gradient
/// needs it). Relative error of the exponential: at most 2^-21.
void activate_backward(Activation activation, std::size_t rows,
                       std::size_t hidden, const Rows& x, const Rows& d,
                       SimdLevel level = active_simd_level());

// --- Head -------------------------------------------------------------------

/// Cross-entropy in nats of each row against its target, and its gradient:
/// losses[r] = log sum_v exp(x_rv) - x_r,target. `d`, where its data are set,
/// gets scale * (softmax(x) - onehot(target)); it may be x itself. A target
/// outside [0, vocabulary) throws Error(kInvalidArgument) before anything is
/// written. A row with a NaN or +infinity has loss NaN or infinity.
void cross_entropy(std::size_t rows, std::size_t vocabulary, const ConstRows& x,
                   const std::int64_t* targets, float scale, float* losses,
                   const Rows& d, SimdLevel level = active_simd_level());

// --- Memory ------------------------------------------------------------------

/// to = from, element by element, (rows, columns).
void convert(std::size_t rows, std::size_t columns, const ConstRows& from,
             const Rows& to, SimdLevel level = active_simd_level());
/// to[r] += from[r] for rows of `columns` floats, at table + index[r] * stride,
/// in the order of r, for indices in [begin, end) alone: an embedding's
/// gradient, cut by rows of the table.
void add_rows_at(std::size_t rows, std::size_t columns, const float* from,
                 std::size_t from_stride, const std::int64_t* index,
                 std::int64_t begin, std::int64_t end, float* table,
                 std::size_t stride, SimdLevel level = active_simd_level());

}  // namespace muonlab::kernels
