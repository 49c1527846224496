// Blocks of queries against blocks of keys. The logits of a block are computed
// with the keys as rows, so that maxima and sums over the keys run down the
// tiles, and the exponentials are stored as lines along the keys as they are.
#include <algorithm>
#include <cmath>
#include <limits>

#include "muonlab/kernels/attention_internal.h"

namespace muonlab::kernels {

namespace {

// Three panels fill the product's tile.
constexpr std::size_t kQueryPanels = kTilePanels;
constexpr std::size_t kQueryBlock = kQueryPanels * kPanel;
constexpr std::size_t kTileStride = kQueryPanels * kBlock;

struct Forward {
  const AttentionForward& call;
  const AttentionKernels& kernels;
  const ForwardScratch& scratch;
  std::size_t feature_panels;
  float scale;  // for exponents of base 2
  float largest = -std::numeric_limits<float>::infinity();

  // Of the block's queries.
  std::size_t first_query = 0;
  std::size_t panels = 0;
  alignas(kLineBytes) float maximum[kQueryBlock] = {};
  alignas(kLineBytes) float sum[kQueryBlock] = {};
  alignas(kLineBytes) float factor[kQueryBlock] = {};

  [[nodiscard]] float* output(std::size_t query) const noexcept {
    return scratch.output + query / kTileRows * feature_panels * kBlock;
  }

  void logits(std::size_t first_key, std::size_t keys) const noexcept {
    for (std::size_t key = 0; key < keys; key += kTileRows) {
      // Panels of queries before the key see nothing of it.
      const std::size_t at = first_key + key;
      const std::size_t skip =
          at > first_query ? (at - first_query) / kPanel : 0;
      scratch.k.multiply(
          kernels, at, scratch.q, first_query + skip * kPanel, panels - skip,
          scratch.logits + key / kTileRows * kTileStride + skip * kBlock);
    }
  }

  // The panel's outputs with a block of keys, of which `keys` count for it.
  void accumulate(std::size_t panel, std::size_t first_key, std::size_t keys) {
    const std::size_t query = panel * kPanel;
    std::byte* p = scratch.p + panel * kernels.line_bytes(kTokenBlock);
    kernels.passes.softmax(
        {.logits = scratch.logits + panel * kBlock,
         .stride = kTileStride,
         .halves = keys / kTileRows,
         .scale = scale,
         .shift = static_cast<std::ptrdiff_t>(first_key) -
                  static_cast<std::ptrdiff_t>(first_query + query),
         .maximum = maximum + query,
         .sum = sum + query,
         .factor = factor + query,
         .lines = p,
         .bfloat16 = kernels.bfloat16()});
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t row = query + half * kTileRows;
      const float* factors = factor + row;
      const bool first = first_key == 0;
      if (!first && std::any_of(factors, factors + kTileRows,
                                [](float x) { return !(x == 1); })) {
        kernels.passes.rescale(output(row), feature_panels, factors);
      }
      scratch.v.multiply(kernels, p + half * kTileRows * sizeof(float),
                         first_key / kTokenBlock, 0, keys, first, output(row));
    }
  }

  void write(std::size_t row) noexcept {
    const std::size_t query = first_query + row;
    if (query >= call.tokens) return;
    const std::size_t rows = std::min(kTileRows, call.tokens - query);
    float inverse[kTileRows] = {};
    for (std::size_t r = 0; r < rows; ++r) {
      const float total = sum[row + r];
      const float highest = maximum[row + r];
      inverse[r] = 1 / total;
      const double exponent =
          static_cast<double>(highest) + std::log2(static_cast<double>(total));
      call.lse[query + r] = static_cast<float>(exponent / kLog2E);
      if (highest > largest) largest = highest;
    }
    auto* to = static_cast<std::byte*>(call.o.data) +
               query * call.o.stride * bytes_of(call.o.element);
    kernels.passes.store({.sums = output(row),
                          .factor = inverse,
                          .to = to,
                          .stride = call.o.stride,
                          .rows = rows,
                          .columns = call.features,
                          .bfloat16 = call.o.element == Element::kBFloat16});
  }

  void run_block() {
    std::fill(maximum, maximum + kQueryBlock,
              -std::numeric_limits<float>::infinity());
    std::fill(sum, sum + kQueryBlock, 0.F);
    const std::size_t end = first_query + panels * kPanel;
    for (std::size_t key = 0; key < end; key += kTokenBlock) {
      logits(key, std::min(kTokenBlock, end - key));
      for (std::size_t panel = 0; panel < panels; ++panel) {
        const std::size_t seen = first_query + (panel + 1) * kPanel;
        if (seen <= key) continue;
        accumulate(panel, key, std::min(kTokenBlock, seen - key));
      }
    }
    for (std::size_t row = 0; row < panels * kPanel; row += kTileRows) {
      write(row);
    }
  }
};

}  // namespace

ForwardScratch::ForwardScratch(Cutter& cutter, std::size_t tokens,
                               std::size_t features, Element element)
    : q(cutter, tokens, features, element),
      k(cutter, tokens, features, element),
      v(cutter, tokens, features, element),
      logits(cutter.take_floats(kTokenBlock / kTileRows * kTileStride)),
      output(cutter.take_floats(kQueryBlock * padded_to_panel(features))),
      p(cutter.take(kQueryBlock * kTokenBlock * bytes_of(element))) {}

void attention_forward(const AttentionForward& call, std::byte* scratch,
                       SimdLevel level) {
  const Element element = call.q.element;
  check_attention(call.tokens, call.features, element);
  check_attention_operand(call.q, call.features, element, "q");
  check_attention_operand(call.k, call.features, element, "k");
  check_attention_operand(call.v, call.features, element, "v");
  check_attention_operand(call.o, call.features, element, "o");
  const AttentionKernels kernels = attention_kernels(level, element);
  Cutter cutter(scratch);
  ForwardScratch parts(cutter, call.tokens, call.features, element);
  parts.q.pack(call.q, level);
  parts.k.pack(call.k, level);
  parts.v.pack(call.v, level);
  Forward pass{.call = call,
               .kernels = kernels,
               .scratch = parts,
               .feature_panels = padded_to_panel(call.features) / kPanel,
               .scale = static_cast<float>(call.scale * kLog2E)};
  const std::size_t panels = padded_to_panel(call.tokens) / kPanel;
  for (std::size_t panel = 0; panel < panels; panel += kQueryPanels) {
    pass.first_query = panel * kPanel;
    pass.panels = std::min(kQueryPanels, panels - panel);
    pass.run_block();
  }
  if (call.largest_logit != nullptr) {
    const auto largest = static_cast<float>(pass.largest / kLog2E);
    *call.largest_logit = std::max(*call.largest_logit, largest);
  }
}

}  // namespace muonlab::kernels
