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
  kEmbedding,   ///< (vocabulary, width)
  kHead,        ///< (vocabulary, width), the output layer
  kGain,        ///< scale of a normalisation
  kBias,
};

[[nodiscard]] std::string_view role_name(Role role);

/// Consecutive rows of a fused weight that are one logical matrix.
struct RowBlock {
  std::string name;       ///< "query", "gate", ...
  std::int64_t rows = 0;  ///< the blocks' rows must add up to the parameter's
};

/// One parameter of a module, under its local name ("weight").
struct ParameterDeclaration {
  std::string name;
  Role role = Role::kMatrix;
  std::vector<RowBlock> blocks;  ///< empty: one block with all rows
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
