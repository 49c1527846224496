#include "muonlab/nn/pass_profile.h"

namespace muonlab::nn {

std::string_view pass_part_name(PassPart part) {
  switch (part) {
    case PassPart::kPack:
      return "weights packed";
    case PassPart::kEmbedding:
      return "embedding";
    case PassPart::kNorm:
      return "norms";
    case PassPart::kHeads:
      return "rotary and QK-norm";
    case PassPart::kActivation:
      return "activations";
    case PassPart::kForward:
      return "products, forward";
    case PassPart::kInputGradient:
      return "products, input gradient";
    case PassPart::kWeightGradient:
      return "products, weight gradient";
    case PassPart::kAttention:
      return "attention, forward";
    case PassPart::kAttentionBackward:
      return "attention, backward";
    case PassPart::kHeadProducts:
      return "head's products";
    case PassPart::kCrossEntropy:
      return "cross-entropy";
    case PassPart::kWait:
      return "waiting for threads";
    case PassPart::kCount:
      break;
  }
  return "";
}

}  // namespace muonlab::nn
