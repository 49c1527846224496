// The row passes of one level. Level files include this, and no header of the
// standard library: see CMakeLists.txt.
#pragma once

#include <cstddef>
#include <cstdint>

#include "muonlab/kernels/row_pass_kinds.h"

namespace muonlab::kernels {

/// Rows and ConstRows, whose element says which entry of a table to call: 0 for
/// float32 and 1 for bfloat16, one index for each operand.
struct RawRows {
  void* data;
  std::size_t stride;
};
struct ConstRawRows {
  const void* data;
  std::size_t stride;
};

struct RowPassesTable {
  using RmsNorm = void(std::size_t rows, std::size_t features, const float* x,
                       std::size_t x_stride, const float* gain, float eps,
                       RawRows y, float* inverse) noexcept;
  using RmsNormAgain = void(std::size_t rows, std::size_t features,
                            const float* x, std::size_t x_stride,
                            const float* gain, const float* inverse,
                            RawRows y) noexcept;
  using RmsNormBackward = void(std::size_t rows, std::size_t features,
                               ConstRawRows dy, const float* x,
                               std::size_t x_stride, const float* gain,
                               const float* inverse, float* dx,
                               std::size_t dx_stride, RawRows copy,
                               float* dgain) noexcept;
  using PrepareHeads = void(std::size_t rows, const HeadPass&, RawRows x,
                            float* inverse) noexcept;
  using PrepareHeadsBackward = void(std::size_t rows, const HeadPass&,
                                    ConstRawRows y, const float* inverse,
                                    RawRows d) noexcept;
  using Activate = void(Activation, std::size_t rows, std::size_t hidden,
                        ConstRawRows x, RawRows y) noexcept;
  using ActivateBackward = void(Activation, std::size_t rows,
                                std::size_t hidden, RawRows x,
                                RawRows d) noexcept;
  using CrossEntropy = void(std::size_t rows, std::size_t vocabulary,
                            ConstRawRows x, const std::int64_t* targets,
                            float scale, float* losses, RawRows d) noexcept;
  using Convert = void(std::size_t rows, std::size_t columns, ConstRawRows from,
                       RawRows to) noexcept;

  RmsNorm* rms_norm[2];                                ///< of y
  RmsNormAgain* rms_norm_again[2];                     ///< of y
  RmsNormBackward* rms_norm_backward[2][2];            ///< of dy and the copy
  PrepareHeads* prepare_heads[2];                      ///< of x
  PrepareHeadsBackward* prepare_heads_backward[2][2];  ///< of y and d
  Activate* activate[2][2];                            ///< of x and y
  ActivateBackward* activate_backward[2][2];           ///< of x and d
  CrossEntropy* cross_entropy[2][2];                   ///< of x and d
  Convert* convert[2][2];                              ///< of from and to
  void (*add_rows_at)(std::size_t rows, std::size_t columns, const float* from,
                      std::size_t from_stride, const std::int64_t* index,
                      std::int64_t begin, std::int64_t end, float* table,
                      std::size_t stride) noexcept;
};

extern const RowPassesTable kScalarRowPasses;
extern const RowPassesTable kAvx2RowPasses;
extern const RowPassesTable kAvx512RowPasses;

}  // namespace muonlab::kernels
