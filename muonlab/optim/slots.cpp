#include "muonlab/optim/slots.h"

#include <array>

namespace muonlab::optim {

namespace {

template <typename E>
using Named = core::Named<E>;

constexpr std::array<Named<MomentumForm>, 3> kMomentumForms = {
    {{MomentumForm::kEma, "ema"},
     {MomentumForm::kHeavyBall, "heavy-ball"},
     {MomentumForm::kEmaCorrected, "ema-corrected"}}};

constexpr std::array<Named<PreTransform>, 6> kPreTransforms = {
    {{PreTransform::kNone, "none"},
     {PreTransform::kSign, "sign"},
     {PreTransform::kRows, "rows"},
     {PreTransform::kColumns, "columns"},
     {PreTransform::kRowsColumns, "rows-columns"},
     {PreTransform::kSecondMoment, "second-moment"}}};

constexpr std::array<Named<Direction>, 10> kDirections = {
    {{Direction::kPolar, "polar"},
     {Direction::kPower, "power"},
     {Direction::kSchatten, "schatten"},
     {Direction::kKyFan, "ky-fan"},
     {Direction::kRandomSpectrum, "random-spectrum"},
     {Direction::kSign, "sign"},
     {Direction::kRows, "rows"},
     {Direction::kColumns, "columns"},
     {Direction::kFrobenius, "frobenius"},
     {Direction::kNone, "none"}}};

constexpr std::array<Named<PostTransform>, 5> kPostTransforms = {
    {{PostTransform::kNone, "none"},
     {PostTransform::kSecondMoment, "second-moment"},
     {PostTransform::kRowSecondMoment, "row-second-moment"},
     {PostTransform::kUnitNorm, "unit-norm"},
     {PostTransform::kSign, "sign"}}};

constexpr std::array<Named<Decay>, 10> kDecays = {
    {{Decay::kDecoupled, "decoupled"},
     {Decay::kScaled, "scaled"},
     {Decay::kAdditive, "additive"},
     {Decay::kAfter, "after"},
     {Decay::kIndependent, "independent"},
     {Decay::kPalm, "palm"},
     {Decay::kCautious, "cautious"},
     {Decay::kCautiousPalm, "cautious-palm"},
     {Decay::kConstrained, "constrained"},
     {Decay::kL2, "l2"}}};

}  // namespace

std::span<const Named<MomentumForm>> momentum_forms() { return kMomentumForms; }
std::span<const Named<PreTransform>> pre_transforms() { return kPreTransforms; }
std::span<const Named<Direction>> directions() { return kDirections; }
std::span<const Named<PostTransform>> post_transforms() {
  return kPostTransforms;
}
std::span<const Named<Decay>> decays() { return kDecays; }

std::string_view formula(MomentumForm form, bool nesterov) {
  switch (form) {
    case MomentumForm::kEma:
      return nesterov ? "B <- b*B + (1-b)*G; D = (1-b)*G + b*B"
                      : "B <- b*B + (1-b)*G; D = B";
    case MomentumForm::kHeavyBall:
      return nesterov ? "B <- b*B + G; D = G + b*B" : "B <- b*B + G; D = B";
    case MomentumForm::kEmaCorrected:
      return nesterov ? "B <- b*B + (1-b)*G; D = b*B/(1-b^(t+1)) + "
                        "(1-b)*G/(1-b^t)"
                      : "B <- b*B + (1-b)*G; D = B/(1-b^t)";
  }
  return "?";
}

std::string_view formula(PreTransform pre) {
  switch (pre) {
    case PreTransform::kNone:
      return "D";
    case PreTransform::kSign:
      return "D <- sign(D)";
    case PreTransform::kRows:
      return "D_ij <- D_ij / sqrt(sum_j D_ij^2 + pre_eps)";
    case PreTransform::kColumns:
      return "D_ij <- D_ij / sqrt(sum_i D_ij^2 + pre_eps)";
    case PreTransform::kRowsColumns:
      return "D_ij <- D_ij / sqrt((sum_j D_ij^2 + pre_eps)(sum_i D_ij^2 + "
             "pre_eps))";
    case PreTransform::kSecondMoment:
      return "V <- pre_beta2*V + (1-pre_beta2)*G*G; D <- D / (sqrt(V) + "
             "pre_eps)";
  }
  return "?";
}

std::string_view formula(Direction direction) {
  switch (direction) {
    case Direction::kPolar:
      return "O = msign(D)";
    case Direction::kPower:
      return "O = U (S/s1)^rho V^T, D = U S V^T";
    case Direction::kSchatten:
      return "O = U (S/|S|_q)^(q-1) V^T, 1/p + 1/q = 1, D = U S V^T";
    case Direction::kKyFan:
      return "O = U_k V_k^T, D = U S V^T";
    case Direction::kRandomSpectrum:
      return "O = U diag(x) V^T, x uniform in (0, 2), D = U S V^T";
    case Direction::kSign:
      return "O = sign(D)";
    case Direction::kRows:
      return "O_i = D_i / |D_i|";
    case Direction::kColumns:
      return "O_j = D_j / |D_j|";
    case Direction::kFrobenius:
      return "O = D / |D|";
    case Direction::kNone:
      return "O = D";
  }
  return "?";
}

std::string_view formula(PostTransform post) {
  switch (post) {
    case PostTransform::kNone:
      return "O";
    case PostTransform::kSecondMoment:
      return "V <- post_beta2*V + (1-post_beta2)*O*O; O <- O / (sqrt(V) + "
             "post_eps)";
    case PostTransform::kRowSecondMoment:
      return "v_i <- post_beta2*v_i + (1-post_beta2)*mean_j O_ij^2; O_i <- O_i "
             "/ (sqrt(v_i) + post_eps); |O| as before";
    case PostTransform::kUnitNorm:
      return "O <- O * sqrt(min(out,in)) / |O|";
    case PostTransform::kSign:
      return "O <- sign(O)";
  }
  return "?";
}

std::string_view formula(Decay decay) {
  switch (decay) {
    case Decay::kDecoupled:
      return "W <- (1 - lr*wd)*W; W <- W - lr*s*O";
    case Decay::kScaled:
      return "W <- W - lr*s*(O + wd*W)";
    case Decay::kAdditive:
      return "W <- W - lr*(s*O + wd*W)";
    case Decay::kAfter:
      return "W <- W - lr*s*O; W <- (1 - lr*wd)*W";
    case Decay::kIndependent:
      return "W <- (1 - wd)*W; W <- W - lr*s*O";
    case Decay::kPalm:
      return "W <- (1 - lr^2*wd)*W; W <- W - lr*s*O";
    case Decay::kCautious:
      return "W <- W - lr*wd*[O*W >= 0]*W - lr*s*O";
    case Decay::kCautiousPalm:
      return "W <- W - lr^2*wd*[O*W >= 0]*W - lr*s*O";
    case Decay::kConstrained:
      return "W <- (1 - lr)*W - lr*s*O";
    case Decay::kL2:
      return "G <- G + wd*W before momentum; W <- W - lr*s*O";
  }
  return "?";
}

}  // namespace muonlab::optim
