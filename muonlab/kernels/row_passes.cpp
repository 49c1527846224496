#include "muonlab/kernels/row_passes.h"

#include "muonlab/core/error.h"
#include "muonlab/kernels/row_passes_internal.h"

namespace muonlab::kernels {

namespace {

std::size_t index_of(const ConstRows& rows) {
  return rows.element == Element::kBFloat16 ? 1 : 0;
}

ConstRawRows raw(const ConstRows& rows) { return {rows.data, rows.stride}; }
RawRows raw(const Rows& rows) { return {rows.data, rows.stride}; }

}  // namespace

const RowPassesTable& row_passes_table(SimdLevel level) {
  if (!is_available(level)) {
    throw Error(ErrorKind::kUnsupported,
                concat("kernels: this build or machine has no ",
                       simd_level_name(level)));
  }
#ifdef MUONLAB_KERNELS_X86
  switch (level) {
    case SimdLevel::kScalar:
      break;
    case SimdLevel::kAvx2:
      return kAvx2RowPasses;
    case SimdLevel::kAvx512:
    case SimdLevel::kAvx512Bf16:
      return kAvx512RowPasses;
  }
#endif
  return kScalarRowPasses;
}

void rms_norm(std::size_t rows, std::size_t features, const float* x,
              std::size_t x_stride, const float* gain, float eps, const Rows& y,
              float* inverse, SimdLevel level) {
  row_passes_table(level).rms_norm[index_of(y)](rows, features, x, x_stride,
                                                gain, eps, raw(y), inverse);
}

void rms_norm_again(std::size_t rows, std::size_t features, const float* x,
                    std::size_t x_stride, const float* gain,
                    const float* inverse, const Rows& y, SimdLevel level) {
  row_passes_table(level).rms_norm_again[index_of(y)](
      rows, features, x, x_stride, gain, inverse, raw(y));
}

void rms_norm_backward(std::size_t rows, std::size_t features,
                       const ConstRows& dy, const float* x,
                       std::size_t x_stride, const float* gain,
                       const float* inverse, float* dx, std::size_t dx_stride,
                       const Rows& copy, float* dgain, SimdLevel level) {
  row_passes_table(level).rms_norm_backward[index_of(dy)][index_of(copy)](
      rows, features, raw(dy), x, x_stride, gain, inverse, dx, dx_stride,
      raw(copy), dgain);
}

void prepare_heads(std::size_t rows, const HeadPass& pass, const Rows& x,
                   float* inverse, SimdLevel level) {
  row_passes_table(level).prepare_heads[index_of(x)](rows, pass, raw(x),
                                                     inverse);
}

void prepare_heads_backward(std::size_t rows, const HeadPass& pass,
                            const ConstRows& y, const float* inverse,
                            const Rows& d, SimdLevel level) {
  row_passes_table(level).prepare_heads_backward[index_of(y)][index_of(d)](
      rows, pass, raw(y), inverse, raw(d));
}

bool is_gated(Activation activation) noexcept {
  return activation == Activation::kSwiGlu || activation == Activation::kGeGlu;
}

void activate(Activation activation, std::size_t rows, std::size_t hidden,
              const ConstRows& x, const Rows& y, SimdLevel level) {
  row_passes_table(level).activate[index_of(x)][index_of(y)](
      activation, rows, hidden, raw(x), raw(y));
}

void activate_backward(Activation activation, std::size_t rows,
                       std::size_t hidden, const Rows& x, const Rows& d,
                       SimdLevel level) {
  row_passes_table(level).activate_backward[index_of(x)][index_of(d)](
      activation, rows, hidden, raw(x), raw(d));
}

void cross_entropy(std::size_t rows, std::size_t vocabulary, const ConstRows& x,
                   const std::int64_t* targets, float scale, float* losses,
                   const Rows& d, SimdLevel level) {
  for (std::size_t r = 0; r < rows; ++r) {
    MUONLAB_CHECK(
        targets[r] >= 0 && static_cast<std::size_t>(targets[r]) < vocabulary,
        "cross-entropy: target of row ", r, ": got ", targets[r],
        ", expected 0 to ", vocabulary, " without its end");
  }
  row_passes_table(level).cross_entropy[index_of(x)][index_of(d)](
      rows, vocabulary, raw(x), targets, scale, losses, raw(d));
}

void convert(std::size_t rows, std::size_t columns, const ConstRows& from,
             const Rows& to, SimdLevel level) {
  row_passes_table(level).convert[index_of(from)][index_of(to)](
      rows, columns, raw(from), raw(to));
}

void add_rows_at(std::size_t rows, std::size_t columns, const float* from,
                 std::size_t from_stride, const std::int64_t* index,
                 std::int64_t begin, std::int64_t end, float* table,
                 std::size_t stride, SimdLevel level) {
  row_passes_table(level).add_rows_at(rows, columns, from, from_stride, index,
                                      begin, end, table, stride);
}

}  // namespace muonlab::kernels
