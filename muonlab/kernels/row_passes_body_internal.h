// The row passes of a level, from its type of 16 values.
#pragma once

#include "muonlab/kernels/row_passes_activations_internal.h"
#include "muonlab/kernels/row_passes_head_internal.h"
#include "muonlab/kernels/row_passes_memory_internal.h"
#include "muonlab/kernels/row_passes_norms_internal.h"

namespace muonlab::kernels {
namespace {

template <typename V>
constexpr RowPassesTable row_passes_of() {
  using F = float;
  using H = Half;
  return {.rms_norm = {rms_norm<V, F>, rms_norm<V, H>},
          .rms_norm_again = {rms_norm_again<V, F>, rms_norm_again<V, H>},
          .rms_norm_backward = {{rms_norm_backward<V, F, F>,
                                 rms_norm_backward<V, F, H>},
                                {rms_norm_backward<V, H, F>,
                                 rms_norm_backward<V, H, H>}},
          .prepare_heads = {prepare_heads<V, F>, prepare_heads<V, H>},
          .prepare_heads_backward = {{prepare_heads_backward<V, F, F>,
                                      prepare_heads_backward<V, F, H>},
                                     {prepare_heads_backward<V, H, F>,
                                      prepare_heads_backward<V, H, H>}},
          .activate = {{activate<V, F, F>, activate<V, F, H>},
                       {activate<V, H, F>, activate<V, H, H>}},
          .activate_backward = {{activate_backward<V, F, F>,
                                 activate_backward<V, F, H>},
                                {activate_backward<V, H, F>,
                                 activate_backward<V, H, H>}},
          .cross_entropy = {{cross_entropy<V, F, F>, cross_entropy<V, F, H>},
                            {cross_entropy<V, H, F>, cross_entropy<V, H, H>}},
          .convert = {{convert<V, F, F>, convert<V, F, H>},
                      {convert<V, H, F>, convert<V, H, H>}},
          .add_rows_at = add_rows_at<V>};
}

}  // namespace
}  // namespace muonlab::kernels
