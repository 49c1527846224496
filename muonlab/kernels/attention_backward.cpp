// Blocks of keys against the queries that see them. The logits are computed
// again, with the queries as rows: the exponentials and the gradients of the
// logits then are lines along the queries as they are, which the gradients of k
// and v take; the gradient of q takes transposed ones.
#include <algorithm>
#include <limits>

#include "muonlab/kernels/attention_internal.h"

namespace muonlab::kernels {

namespace {

constexpr std::size_t kBlockPanels = kTokenBlock / kPanel;

struct Backward {
  const AttentionBackward& call;
  const AttentionKernels& kernels;
  const BackwardScratch& scratch;
  std::size_t feature_panels;
  float scale;  // for exponents of base 2
  std::size_t padded_tokens;

  [[nodiscard]] float* tiles(float* first, std::size_t row) const noexcept {
    return first + row / kTileRows * feature_panels * kBlock;
  }
  [[nodiscard]] std::size_t panel_bytes() const noexcept {
    return kernels.line_bytes(kTokenBlock);
  }
  // Half a panel of rows, `row` of a block on.
  [[nodiscard]] std::byte* half(std::byte* panels,
                                std::size_t row) const noexcept {
    return panels + row / kPanel * panel_bytes() + row % kPanel * sizeof(float);
  }

  void prepare() const noexcept {
    const std::size_t bytes = bytes_of(kernels.element);
    const auto row_of = [&](const ConstRows& rows, std::size_t i) {
      return static_cast<const std::byte*>(rows.data) + i * rows.stride * bytes;
    };
    for (std::size_t i = 0; i < padded_tokens; ++i) {
      const bool padding = i >= call.tokens;
      scratch.lse[i] = padding ? std::numeric_limits<float>::infinity()
                               : static_cast<float>(call.lse[i] * kLog2E);
      scratch.delta[i] =
          padding ? 0
                  : kernels.passes.dot(row_of(call.o, i), row_of(call.d_o, i),
                                       call.features, kernels.bfloat16());
    }
  }

  // Exponentials and gradients of the logits of 8 queries, `row` of their block
  // on, for the first `keys` of a block.
  void logits(std::size_t first_key, std::size_t first_query, std::size_t row,
              std::size_t keys) const noexcept {
    const std::size_t query = first_query + row;
    const std::size_t panels = keys / kPanel;
    scratch.q.multiply(kernels, query, scratch.k, first_key, panels,
                       scratch.logits);
    scratch.d_o.multiply(kernels, query, scratch.v, first_key, panels,
                         scratch.d_probs);
    kernels.passes.gradient({.logits = scratch.logits,
                             .d_probs = scratch.d_probs,
                             .panels = panels,
                             .scale = scale,
                             .lse = scratch.lse + query,
                             .delta = scratch.delta + query,
                             .shift = static_cast<std::ptrdiff_t>(query) -
                                      static_cast<std::ptrdiff_t>(first_key),
                             .p = scratch.p + kernels.line_bytes(row),
                             .ds = scratch.ds + kernels.line_bytes(row),
                             .panel_bytes = panel_bytes(),
                             .ds_rows = half(scratch.ds_rows, row),
                             .bfloat16 = kernels.bfloat16()});
  }

  void run_pair(std::size_t first_key, std::size_t keys,
                std::size_t first_query) const noexcept {
    const bool diagonal = first_query == first_key;
    const std::size_t queries =
        std::min(kTokenBlock, padded_tokens - first_query);
    const std::size_t key_block = first_key / kTokenBlock;
    const std::size_t query_block = first_query / kTokenBlock;
    for (std::size_t row = 0; row < queries; row += kTileRows) {
      const std::size_t seen =
          diagonal ? std::min(keys, padded_to_panel(row + 1)) : keys;
      logits(first_key, first_query, row, seen);
      scratch.k_columns.multiply(kernels, half(scratch.ds_rows, row), key_block,
                                 0, seen, first_key == 0,
                                 tiles(scratch.dq, first_query + row));
    }
    for (std::size_t row = 0; row < keys; row += kTileRows) {
      const std::size_t begin = diagonal ? row / kPanel * kPanel : 0;
      scratch.d_o_columns.multiply(kernels, half(scratch.p, row), query_block,
                                   begin, queries, diagonal,
                                   tiles(scratch.dv, row));
      scratch.q_columns.multiply(kernels, half(scratch.ds, row), query_block,
                                 begin, queries, diagonal,
                                 tiles(scratch.dk, row));
    }
  }

  void write(const Rows& to, float* sums, std::size_t first, std::size_t rows,
             float factor) const noexcept {
    float factors[kTileRows];
    std::fill(factors, factors + kTileRows, factor);
    for (std::size_t row = 0; row < rows && first + row < call.tokens;
         row += kTileRows) {
      const std::size_t token = first + row;
      kernels.passes.store({.sums = tiles(sums, row),
                            .factor = factors,
                            .to = static_cast<std::byte*>(to.data) +
                                  token * to.stride * bytes_of(to.element),
                            .stride = to.stride,
                            .rows = std::min(kTileRows, call.tokens - token),
                            .columns = call.features,
                            .bfloat16 = to.element == Element::kBFloat16});
    }
  }

  void run() const noexcept {
    prepare();
    for (std::size_t key = 0; key < padded_tokens; key += kTokenBlock) {
      const std::size_t keys = std::min(kTokenBlock, padded_tokens - key);
      for (std::size_t query = key; query < padded_tokens;
           query += kTokenBlock) {
        run_pair(key, keys, query);
      }
      write(call.dk, scratch.dk, key, keys, call.scale);
      write(call.dv, scratch.dv, key, keys, 1);
    }
    write(call.dq, scratch.dq, 0, padded_tokens, call.scale);
  }
};

}  // namespace

BackwardScratch::BackwardScratch(Cutter& cutter, std::size_t tokens,
                                 std::size_t features, Element element)
    : q(cutter, tokens, features, element),
      k(cutter, tokens, features, element),
      v(cutter, tokens, features, element),
      d_o(cutter, tokens, features, element),
      q_columns(cutter, tokens, features, element),
      k_columns(cutter, tokens, features, element),
      d_o_columns(cutter, tokens, features, element),
      lse(cutter.take_floats(padded_to_panel(tokens))),
      delta(cutter.take_floats(padded_to_panel(tokens))),
      dq(cutter.take_floats(padded_to_panel(tokens) *
                            padded_to_panel(features))),
      dk(cutter.take_floats(kTokenBlock * padded_to_panel(features))),
      dv(cutter.take_floats(kTokenBlock * padded_to_panel(features))),
      logits(cutter.take_floats(kBlockPanels * kBlock)),
      d_probs(cutter.take_floats(kBlockPanels * kBlock)),
      p(cutter.take(kTokenBlock * kTokenBlock * bytes_of(element))),
      ds(cutter.take(kTokenBlock * kTokenBlock * bytes_of(element))),
      ds_rows(cutter.take(kTokenBlock * kTokenBlock * bytes_of(element))) {}

void attention_backward(const AttentionBackward& call, std::byte* scratch,
                        SimdLevel level) {
  const Element element = call.q.element;
  check_attention(call.tokens, call.features, element);
  check_attention_operand(call.q, call.features, element, "q");
  check_attention_operand(call.k, call.features, element, "k");
  check_attention_operand(call.v, call.features, element, "v");
  check_attention_operand(call.o, call.features, element, "o");
  check_attention_operand(call.d_o, call.features, element, "d_o");
  check_attention_operand(call.dq, call.features, element, "dq");
  check_attention_operand(call.dk, call.features, element, "dk");
  check_attention_operand(call.dv, call.features, element, "dv");
  const AttentionKernels kernels = attention_kernels(level, element);
  Cutter cutter(scratch);
  BackwardScratch parts(cutter, call.tokens, call.features, element);
  parts.q.pack(call.q, level);
  parts.k.pack(call.k, level);
  parts.v.pack(call.v, level);
  parts.d_o.pack(call.d_o, level);
  parts.q_columns.pack(call.q, level);
  parts.k_columns.pack(call.k, level);
  parts.d_o_columns.pack(call.d_o, level);
  const Backward pass{.call = call,
                      .kernels = kernels,
                      .scratch = parts,
                      .feature_panels = padded_to_panel(call.features) / kPanel,
                      .scale = static_cast<float>(call.scale * kLog2E),
                      .padded_tokens = padded_to_panel(call.tokens)};
  pass.run();
}

}  // namespace muonlab::kernels
