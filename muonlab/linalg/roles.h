// What a parameter is, declared by the module that owns it: plain data that
// nn registers and optim reads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muonlab {

enum class Role {
  kMatrix,      ///< hidden weight (out, in): the matrix rule's business
  kConvKernel,  ///< (out, in, ...), flattened to (out, rest)
  kExperts,     ///< (E, out, in): one matrix per expert
  kLoraFactor,  ///< (r, in) or (out, r): a factor of a low-rank update
  kEmbedding,   ///< (vocabulary, width)
  kHead,        ///< (vocabulary, width), the output layer
  kGain,        ///< scale of a normalisation
  kBias,
  kVector,  ///< anything else that is updated element by element
};

[[nodiscard]] std::string_view role_name(Role role);
/// Throws Error(kInvalidArgument) on another name, with the nearest one.
[[nodiscard]] Role role_from_name(std::string_view name);
/// Matrices, kernels, expert stacks and LoRA factors: what the rule of the
/// hidden matrices takes.
[[nodiscard]] bool is_hidden(Role role);

/// Consecutive rows of a fused weight that are one logical matrix. Blocks of
/// the same name are joined into one, which is how interleaved layouts (query
/// rows of group 0, key rows of group 0, query rows of group 1, ...) are
/// declared.
struct RowBlock {
  std::string name;       ///< "query", "gate", ...
  std::int64_t rows = 0;  ///< the blocks' rows must add up to the parameter's
  bool operator==(const RowBlock&) const = default;
};

/// `count` matrices of `rows` rows: name.0, name.1, ... (one per head).
[[nodiscard]] std::vector<RowBlock> per_head(const std::string& name,
                                             std::int64_t count,
                                             std::int64_t rows);
/// Fused query, key and value rows; with grouped heads key and value have
/// fewer.
[[nodiscard]] std::vector<RowBlock> query_key_value(std::int64_t query_rows,
                                                    std::int64_t key_rows,
                                                    std::int64_t value_rows);
/// The layout of Megatron: for each of `groups` key-value heads its
/// `queries_per_group` query heads, then one key and one value head.
[[nodiscard]] std::vector<RowBlock> interleaved_query_key_value(
    std::int64_t groups, std::int64_t queries_per_group,
    std::int64_t head_rows);

/// One parameter of a module, under its local name ("weight").
struct ParameterDeclaration {
  std::string name;
  Role role = Role::kMatrix;
  std::vector<RowBlock> blocks;  ///< empty: one block with all rows. Of an
                                 ///< expert stack: the blocks of each expert
};

/// Implemented by modules (beside torch::nn::Module) that know their roles.
class DeclaresRoles {
 public:
  virtual ~DeclaresRoles() = default;
  /// Only parameters registered directly in this module.
  [[nodiscard]] virtual std::vector<ParameterDeclaration> declared_roles()
      const = 0;
};

}  // namespace muonlab
