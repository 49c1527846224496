#include "muonlab/linalg/roles.h"

namespace muonlab {

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kMatrix:
      return "matrix";
    case Role::kConvKernel:
      return "conv kernel";
    case Role::kEmbedding:
      return "embedding";
    case Role::kHead:
      return "head";
    case Role::kGain:
      return "gain";
    case Role::kBias:
      return "bias";
  }
  return "?";
}

}  // namespace muonlab
