package io.aitbc.coordinator.api;

import io.aitbc.contracts.Ids;
import jakarta.validation.Constraint;
import jakarta.validation.Payload;
import jakarta.validation.ReportAsSingleViolation;
import jakarta.validation.constraints.Pattern;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Constraint for an agent or task id in a path. */
@Target(ElementType.PARAMETER)
@Retention(RetentionPolicy.RUNTIME)
@Constraint(validatedBy = {})
@Pattern(regexp = Ids.PATTERN)
@ReportAsSingleViolation
@interface Id {
    String message() default Ids.RULE;

    Class<?>[] groups() default {};

    Class<? extends Payload>[] payload() default {};
}
